"""Ways out by the request itself: other calls, tricks of paths and queries, and of HTTP."""

from __future__ import annotations

from guarded import API, INSTALL, request

ID = "f" * 64  # of a container that is not there
B = "BYSTANDER"  # is replaced by the id of somebody else's container
C, P = f"/{API}/containers", f"/{API}"

CALLS = [
    # --- other calls, of other things
    *[
        ("POST", f"{P}{path}")
        for path in (
            "/build",
            "/build/prune",
            "/commit?container=bystander",
            "/images/create?fromImage=busybox",
            "/images/load",
            "/images/prune",
            "/images/microstage/guarded:1/tag?repo=microstage/look&tag=1",
            "/images/microstage/guarded:1/push",
            "/auth",
            "/session",
            "/grpc",
            "/volumes/create",
            "/volumes/prune",
            "/networks/create",
            "/networks/prune",
            "/networks/bridge/connect",
            "/networks/bridge/disconnect",
            "/plugins/pull?remote=x",
            "/plugins/create?name=x",
            "/plugins/x/enable",
            "/swarm/init",
            "/swarm/join",
            "/swarm/unlock",
            "/services/create",
            "/secrets/create",
            "/configs/create",
            "/exec/x/start",
            "/exec/x/resize",
            "/containers/prune",
            "/distribution/x/json",
            "/nodes/x/update",
        )
    ],
    *[
        ("GET", f"{P}{path}")
        for path in (
            "/info",
            "/events",
            "/events?since=0",
            "/system/df",
            "/images/json",
            "/images/get?names=microstage/guarded:1",
            "/images/search?term=x",
            "/images/microstage/guarded:1/history",
            "/images/microstage/guarded:1/get",
            "/images/microstage/guard:1.0.0/json",
            "/images/microstage/base:1.0.0/json",
            "/images/busybox/json",
            "/volumes",
            f"/volumes/{INSTALL}_data",
            "/networks/bridge",
            f"/networks/{INSTALL}_tracking",
            "/plugins",
            "/plugins/privileges?remote=x",
            "/swarm",
            "/swarm/unlockkey",
            "/services",
            "/tasks",
            "/nodes",
            "/secrets",
            "/configs",
            "/exec/x/json",
            "/distribution/microstage/guarded:1/json",
            "/debug/pprof/",
            "/metrics",
            "",
            "/",
        )
    ],
    ("DELETE", f"{P}/images/microstage/guarded:1"),
    ("DELETE", f"{P}/images/microstage/guarded:1?force=1"),
    ("DELETE", f"{P}/volumes/{INSTALL}_data?force=1"),
    ("DELETE", f"{P}/networks/{INSTALL}_tracking"),
    ("DELETE", f"{P}/plugins/x?force=1"),
    ("DELETE", f"{P}/build"),
    ("PUT", f"{P}/images/microstage/guarded:1"),
    ("HEAD", f"{P}/_ping"),
    ("OPTIONS", "*"),
    ("TRACE", f"{P}/_ping"),
    ("CONNECT", "/var/run/docker.sock"),
    ("PRI", "*"),
    # --- somebody else's container, by all that can be done to one
    *[
        (method, f"{C}/{container}{path}")
        for container in (B, ID)
        for method, path in (
            ("GET", "/json"),
            ("GET", "/logs?stdout=1"),
            ("GET", "/logs?stdout=1&stderr=1&follow=1&tail=all"),
            ("GET", "/top"),
            ("GET", "/stats?stream=0"),
            ("GET", "/stats?stream=False&one-shot=True"),
            ("GET", "/changes"),
            ("GET", "/export"),
            ("GET", "/archive?path=/etc/passwd"),
            ("HEAD", "/archive?path=/etc/passwd"),
            ("PUT", "/archive?path=/"),
            ("GET", "/attach/ws?stream=1"),
            ("POST", "/exec"),
            ("POST", "/start"),
            ("POST", "/stop"),
            ("POST", "/stop?t=0"),
            ("POST", "/restart"),
            ("POST", "/kill"),
            ("POST", "/kill?signal=9"),
            ("POST", "/pause"),
            ("POST", "/unpause"),
            ("POST", "/rename?name=x"),
            ("POST", "/update"),
            ("POST", "/resize?h=1&w=1"),
            ("POST", "/copy"),
            ("POST", "/wait"),
            ("POST", "/checkpoints"),
            ("DELETE", ""),
            ("DELETE", "?force=1"),
            ("DELETE", "?v=True&link=False&force=True"),
        )
    ],
    # --- the same by other names and paths
    *[
        (method, path.replace("ID", B))
        for method, path in (
            ("GET", f"{C}/bystander/json"),
            ("GET", f"{C}/{B[:12]}/json"),
            ("POST", f"{C}/bystander/stop"),
            ("DELETE", f"{C}/bystander?force=1"),
            ("GET", "/v1.44/containers/json"),
            ("GET", "/v1.46/containers/json"),
            ("GET", "/v1.045/containers/json"),
            ("GET", "/containers/json"),
            ("POST", "/containers/create"),
            ("POST", "/v1.24/containers/create"),
            ("GET", f"/{API}//containers/json"),
            ("GET", f"//{API}/containers/json"),
            ("GET", f"{C}/json/"),
            ("GET", f"{C}/./json"),
            ("GET", f"{C}/../info"),
            ("GET", f"{C}/json/../../info"),
            ("GET", f"{C}%2fjson"),
            ("GET", f"{C}/%6ason"),
            ("GET", f"{C}/json%00"),
            ("GET", f"{C}/json;x=1"),
            ("GET", f"{C}/JSON"),
            ("GET", f"/{API.upper()}/containers/json"),
            ("GET", f"http://localhost{C}/json"),
            ("GET", f"{P}/images/microstage/guarded:1/json/../../../info"),
            ("GET", f"{P}/images/../info"),
            ("GET", f"{P}/images/microstage%2fguarded:1/json"),
            ("GET", f"{P}/images/microstage/guarded/json"),
            ("GET", f"{P}/images/sha256:{'0' * 64}/json"),
            ("GET", f"{P}/images/{'0' * 64}/json"),
            ("GET", f"{C}/json?all=1&all=1"),
            ("GET", f"{C}/json?All=1"),
            ("GET", f"{C}/json?%61ll=1"),
            ("GET", f"{C}/json?all=2"),
            ("GET", f"{C}/json?before=x"),
            ("GET", f"{C}/json?size=1"),
            ("GET", f"{C}/json?limit=5"),
            ("GET", f"{C}/json?"),
            ("GET", f"{C}/json?&"),
            ("GET", f"{C}/json?all=1;size=1"),
            ("GET", f"{C}/json?filters=x"),
            ("GET", f"{C}/json?filters=%7B%22name%22%3A%5B%22bystander%22%5D%7D"),
            ("GET", f"{C}/json?filters=%7B%22label%22%3A%5B%22other%3D1%22%5D%7D"),
            ("GET", f"{C}/json?filters=%7B%22label%22%3A%7B%22x%22%3Atrue%7D%7D"),
            ("GET", f"{C}/json?filters=%7B%22label%22%3A%5B%5D%2C%22label%22%3A%5B%5D%7D"),
            ("GET", f"{C}/json?filters=%ff"),
            ("GET", f"{C}/json?filters=%zz"),
            ("GET", f"{P}/networks?filters=%7B%22driver%22%3A%5B%22host%22%5D%7D"),
            ("POST", f"{C}/create?name=guard"),
            ("POST", f"{C}/create?platform=linux/amd64"),
            ("POST", f"{C}/{ID}/attach?stdin=1&stdout=1&stderr=1&stream=1&logs=0"),
            ("POST", f"{C}/{ID}/attach?detachKeys=x"),
            ("POST", f"{C}/{ID}/wait?condition=never"),
            ("GET", f"{C}/{ID}/logs?stdout=1&details=1"),
            ("GET", f"{C}/{ID}/logs?stdout=1&since=-1"),
            ("GET", f"{C}/{ID}/logs?stdout=1&until=1"),
            ("GET", f"{C}/{ID}/logs?stdout=1&tail=99999"),
            ("POST", f"{C}/{ID}/logs?stdout=1"),
            ("GET", f"{C}/{ID}/stats?stream=1"),
            ("GET", f"{C}/{ID}/stats?stream=False&one-shot=False"),
            ("POST", f"{C}/{ID}/stop?t=-1"),
            ("POST", f"{C}/{ID}/stop?t=100000"),
            ("POST", f"{C}/{ID}/stop?signal=SIGUSR1"),
            ("POST", f"{C}/{ID}/start?checkpoint=x"),
            ("POST", f"{C}/{ID}/start?detachKeys=x"),
            ("DELETE", f"{C}/{ID}?link=1"),
            ("DELETE", f"{C}/{ID}?v=1&v=1"),
            ("POST", f"{C}/{'F' * 64}/start"),
            ("POST", f"{C}/{'f' * 63}/start"),
            ("POST", f"{C}/{'f' * 65}/start"),
            ("POST", f"{C}/create/"),
            ("POST", f"{C}/create/../{B}/stop"),
            ("GET", f"{C}/create"),
            ("PUT", f"{C}/create"),
            ("post", f"{C}/create"),
        )
    ],
]


def _create(head: str, body: str = "GOOD") -> str:
    """Return a call that makes a container, with other lines of its head; GOOD is a good body."""
    return f"POST {C}/create HTTP/1.1\r\n{head}\r\n\r\n{body}"


LENGTH = "Content-Length: LENGTH"  # is replaced by that of GOOD
SNEAKED = request("DELETE", f"{C}/{B}?force=1").decode()

# Each is text that is sent as it is, but for GOOD, LENGTH and BYSTANDER. Those that are slow are
# cut short by their end.
RAW = {
    "no host": f"POST {C}/create HTTP/1.1\r\n{LENGTH}\r\n\r\nGOOD",
    "HTTP/1.0": f"POST {C}/create HTTP/1.0\r\nHost: x\r\n{LENGTH}\r\n\r\nGOOD",
    "HTTP/0.9": f"GET {C}/json\r\n\r\n",
    "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": f"POST {C}/create HTTP/1.2\r\nHost: x\r\n{LENGTH}\r\n\r\nGOOD",
    "HTTP in small letters": f"POST {C}/create http/1.1\r\nHost: x\r\n{LENGTH}\r\n\r\nGOOD",
    "chunked": _create("Host: x\r\nTransfer-Encoding: chunked", "HEXLENGTH\r\nGOOD\r\n0\r\n\r\n"),
    "chunked and a length": _create(f"Host: x\r\n{LENGTH}\r\nTransfer-Encoding: chunked"),
    "chunked in other letters": _create(
        "Host: x\r\nTransfer-Encoding: xchunked\r\nContent-Length: 0", ""
    ),
    "identity": _create(f"Host: x\r\n{LENGTH}\r\nTransfer-Encoding: identity"),
    "compressed": _create(f"Host: x\r\n{LENGTH}\r\nContent-Encoding: gzip"),
    "compressed by nobody": _create(f"Host: x\r\n{LENGTH}\r\nContent-Encoding: identity"),
    "expects": _create(f"Host: x\r\n{LENGTH}\r\nExpect: 100-continue"),
    "trailers": _create(f"Host: x\r\n{LENGTH}\r\nTE: trailers"),
    "two lengths": _create(f"Host: x\r\n{LENGTH}\r\nContent-Length: 5"),
    "two lengths alike": _create(f"Host: x\r\n{LENGTH}\r\n{LENGTH}"),
    "a list of lengths": _create(f"Host: x\r\n{LENGTH}, LENGTH"),
    "a length with a sign": _create("Host: x\r\nContent-Length: +LENGTH"),
    "a length with a zero": _create("Host: x\r\nContent-Length: 0LENGTH"),
    "a length in hex": _create("Host: x\r\nContent-Length: 0x10"),
    "a length below nothing": _create("Host: x\r\nContent-Length: -1"),
    "a length of a fraction": _create("Host: x\r\nContent-Length: 5.0"),
    "a length beyond all": _create("Host: x\r\nContent-Length: 99999999999999999999"),
    "a length over the limit": _create("Host: x\r\nContent-Length: 1048577"),
    "a length too short": _create("Host: x\r\nContent-Length: 5"),
    "two hosts": _create(f"Host: x\r\nHost: y\r\n{LENGTH}"),
    "a header twice": _create(f"Host: x\r\n{LENGTH}\r\nAccept: a\r\nAccept: b"),
    "a header in two cases": _create(f"Host: x\r\n{LENGTH}\r\nX-A: a\r\nx-a: b"),
    "a header that goes on": _create(f"Host: x\r\nX-A: a\r\n b\r\n{LENGTH}"),
    "a header that goes on by a tab": _create(f"Host: x\r\nX-A: a\r\n\tb\r\n{LENGTH}"),
    "a blank before the colon": _create("Host: x\r\nContent-Length : LENGTH"),
    "a header without a name": _create(f"Host: x\r\n: y\r\n{LENGTH}"),
    "a header without a colon": _create(f"Host: x\r\nnothing\r\n{LENGTH}"),
    "a header with a NUL": _create(f"Host: x\r\nX-A: a\0b\r\n{LENGTH}"),
    "a header of other letters": _create(f"Host: x\r\nX-A: ä\r\n{LENGTH}"),
    "a name of other letters": _create(f"Host: x\r\nContent\xadLength: 0\r\n{LENGTH}"),
    "bare line feeds": _create(f"Host: x\r\n{LENGTH}").replace("\r\n", "\n"),
    "a bare line feed": _create(f"Host: x\nX-A: y\r\n{LENGTH}"),
    "a bare carriage return": _create(f"Host: x\rX-A: y\r\n{LENGTH}"),
    "a blank line first": "\r\n" + _create(f"Host: x\r\n{LENGTH}"),
    "a blank first": " " + _create(f"Host: x\r\n{LENGTH}"),
    "two blanks": f"POST  {C}/create HTTP/1.1\r\nHost: x\r\n{LENGTH}\r\n\r\nGOOD",
    "a tab for a blank": f"POST\t{C}/create\tHTTP/1.1\r\nHost: x\r\n{LENGTH}\r\n\r\nGOOD",
    "a path with a blank": f"POST {C}/create x HTTP/1.1\r\nHost: x\r\n{LENGTH}\r\n\r\nGOOD",
    "a path with a fragment": f"POST {C}/create#x HTTP/1.1\r\nHost: x\r\n{LENGTH}\r\n\r\nGOOD",
    "a path of other letters": f"POST {C}/créate HTTP/1.1\r\nHost: x\r\n{LENGTH}\r\n\r\nGOOD",
    "a head over the limit": _create(f"Host: x\r\nX-A: {'a' * 17_000}\r\n{LENGTH}"),
    "headers over the limit": _create(
        "Host: x\r\n" + "".join(f"X-{n}: y\r\n" for n in range(3000)) + LENGTH
    ),
    "a head that never ends": f"POST {C}/create HTTP/1.1\r\nX-A: {'a' * 200_000}",
    "pipelined": _create(f"Host: x\r\n{LENGTH}") + SNEAKED,
    "pipelined behind a ping": f"GET {P}/_ping HTTP/1.1\r\nHost: x\r\n\r\n{SNEAKED}",
    "in the body of a ping": (
        f"GET {P}/_ping HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SNEAKED)}\r\n\r\n{SNEAKED}"
    ),
    "a body where none is": (
        f"POST {C}/{B}/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}"
    ),
    "an upgrade to HTTP/2": _create(f"Host: x\r\n{LENGTH}\r\nConnection: Upgrade\r\nUpgrade: h2c"),
    "an upgrade of a create": _create(
        f"Host: x\r\n{LENGTH}\r\nConnection: Upgrade\r\nUpgrade: tcp"
    ),
    "a stream of somebody else's": (
        f"POST {C}/{B}/attach?logs=0&stdout=1&stderr=1&stream=1 HTTP/1.1\r\nHost: x\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    ),
    "another method by a header": (
        f"GET {C}/{B}/json HTTP/1.1\r\nHost: x\r\nX-HTTP-Method-Override: DELETE\r\n\r\n"
    ),
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "nothing of HTTP": "hello\r\n\r\n",
    "bytes": "\x00\xff\xfe\r\n\r\n",
}
