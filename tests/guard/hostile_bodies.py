"""Ways out by the body that makes a container: what each puts into one that is good."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from guarded import INSTALL

Body = dict[str, Any]
Change = Callable[[Body], Any]  # changes a body, or returns the text that is to be sent


def _host(name: str, value: Any) -> Change:
    return lambda body: body["HostConfig"].update({name: value})


def _top(name: str, value: Any) -> Change:
    return lambda body: body.update({name: value})


def _label(name: str, value: Any) -> Change:
    return lambda body: body["Labels"].update({name: value})


def _mount(**values: Any) -> Change:
    """Change the mount that is /in/model."""
    return lambda body: _of(body, "/in/model").update(values)


def _out(**values: Any) -> Change:
    return lambda body: _of(body, "/out").update(values)


def _source(old: str, new: str, target: str = "/in/model") -> Change:
    def change(body: Body) -> None:
        mount = _of(body, target)
        mount["Source"] = mount["Source"].replace(old, new)

    return change


def _of(body: Body, target: str) -> Body:
    found: Body = next(each for each in body["HostConfig"]["Mounts"] if each["Target"] == target)
    return found


def _more(**mount: Any) -> Change:
    """One more mount."""
    whole = {"Type": "bind", "Source": "/", "Target": "/in/host", "ReadOnly": True, **mount}
    return lambda body: body["HostConfig"]["Mounts"].append(whole)


def _text(change: Callable[[str], str | bytes]) -> Change:
    """Change the text of the body."""
    return lambda body: change(json.dumps(body))


def _without(*path: str) -> Change:
    def change(body: Body) -> None:
        for key in path[:-1]:
            body = body[key]
        del body[path[-1]]

    return change


DEVICE = {"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda", "CgroupPermissions": "rwm"}

HOST: dict[str, list[Any]] = {
    "Privileged": [True, "true", 1, False],
    "CapAdd": [["ALL"], ["SYS_ADMIN"], ["CAP_SYS_PTRACE"], []],
    "CapDrop": [[], ["NET_RAW"], None, ["all"], "ALL"],
    "SecurityOpt": [
        [],
        None,
        ["no-new-privileges", "apparmor=unconfined"],
        ["no-new-privileges", "seccomp=unconfined"],
        ["no-new-privileges:false"],
        ["no-new-privileges", "label=disable"],
        ["no-new-privileges", "systempaths=unconfined"],
    ],
    "Devices": [[DEVICE]],
    "DeviceRequests": [[{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]],
    "DeviceCgroupRules": [["a *:* rwm"]],
    "PidMode": ["host", "container:bystander", ""],
    "IpcMode": ["host", "shareable", "container:bystander"],
    "UTSMode": ["host"],
    "UsernsMode": ["host"],
    "CgroupnsMode": ["host"],
    "Cgroup": ["container:bystander"],
    "CgroupParent": ["/", "../../", "/docker"],
    "NetworkMode": [
        "host",
        "bridge",
        "default",
        "",
        "container:bystander",
        "somebody_elses",
        f"{INSTALL}_tracking",
        "ns:/proc/1/ns/net",
    ],
    "Sysctls": [{"kernel.shm_rmid_forced": "0"}, {"net.ipv4.ip_forward": "1"}],
    "Runtime": ["runc", "sysbox", "/bin/sh"],
    "Binds": [["/:/host"], ["/var/run/docker.sock:/in/s"], ["/etc:/in/etc:ro"], []],
    "VolumesFrom": [["bystander"], []],
    "VolumeDriver": ["local", "nfs"],
    "Tmpfs": [
        {"/tmp": "rw,exec,suid,dev"},
        {"/tmp": "rw,noexec,nosuid,nodev,size=256g,mode=1777"},
        {"/tmp": "rw,noexec,nosuid,nodev,size=256m,mode=1777", "/in": ""},
        {"/etc": ""},
        {},
    ],
    "Links": [["bystander:x"]],
    "ExtraHosts": [["mlflow:10.0.0.1"]],
    "Dns": [["10.0.0.1"]],
    "DnsOptions": [["ndots:1"]],
    "DnsSearch": [["example.org"]],
    "PortBindings": [{"80/tcp": [{"HostIp": "::", "HostPort": "80"}]}],
    "PublishAllPorts": [True],
    "RestartPolicy": [{"Name": "always"}],
    "AutoRemove": [True],
    "OomScoreAdj": [-1000],
    "OomKillDisable": [True],
    "GroupAdd": [["0"], ["docker"]],
    "Ulimits": [[{"Name": "core", "Soft": -1, "Hard": -1}]],
    "ShmSize": [2**40],
    "MaskedPaths": [[], None],
    "ReadonlyPaths": [[], None],
    "ReadonlyRootfs": [False, 1, "true", None],
    "Init": [False, None, 1],
    "LogConfig": [
        {"Type": "none", "Config": {}},
        {"Type": "syslog", "Config": {"syslog-address": "udp://10.0.0.1:514"}},
        {"Type": "json-file", "Config": {"max-size": "10g", "max-file": "1"}},
        {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "1", "labels": "x"}},
        {"Type": "json-file"},
    ],
    "Memory": [0, -1, 2**40, 67108864.0, "67108864", True],
    "MemorySwap": [-1, 0, 2**40],
    "MemoryReservation": [0],
    "MemorySwappiness": [100],
    "KernelMemory": [0],
    "PidsLimit": [0, -1, 10**6, None],
    "NanoCpus": [0, 10**12],
    "CpuPeriod": [1],
    "CpuQuota": [-1],
    "CpuShares": [10**5],
    "CpuRealtimeRuntime": [1],
    "CpusetCpus": ["0"],
    "BlkioWeight": [1000],
    "BlkioDeviceReadBps": [[{"Path": "/dev/sda", "Rate": 1}]],
    "StorageOpt": [{"size": "100G"}],
    "ContainerIDFile": ["/etc/cron.d/x"],
    "Annotations": [{"io.kubernetes.cri": "x"}],
    "ConsoleSize": [[1, 1]],
    "Isolation": ["process"],
    "Mounts": [None, {}, "all", [[]], [None], ["/:/host"]],
}

TOP: dict[str, list[Any]] = {
    "User": ["0:0", "root", "0", "", "1234", "1234:0", 1234, None],
    "Entrypoint": [["sh", "-c"], [], "sh", [""]],
    "Image": [
        "microstage/unlabelled:1",
        "microstage/guarded:1",
        "sha256:" + "0" * 64,
        "",
        None,
        "busybox",
    ],
    "Env": [
        [],
        None,
        ["OMP_NUM_THREADS=1", "LD_PRELOAD=/in/model/x.so"],
        ["OMP_NUM_THREADS=99"],
        ["OMP_NUM_THREADS=1", "PYTHONPATH=/in/model"],
        ["OMP_NUM_THREADS=1", "OMP_NUM_THREADS=1"],
        ["OMP_NUM_THREADS"],
        {"OMP_NUM_THREADS": "1"},
    ],
    "Cmd": [
        [],
        None,
        "look",
        ["wait"],
        ["sh", "-c", "id"],
        ["days"],
        ["look", 1],
        ["look", None],
        ["look", ["x"]],
        ["look"] * 257,
        ["look", "x" * (64 * 1024)],
        ["look", "a\0b"],
        [" look"],
        ["LOOK"],
    ],
    "Volumes": [{"/": {}}, {"/in/x": {}}],
    "ExposedPorts": [{"80/tcp": {}}],
    "WorkingDir": ["/in/model"],
    "Healthcheck": [{"Test": ["CMD-SHELL", "id"], "Interval": 10**9}],
    "Shell": [["/bin/sh", "-c"]],
    "OnBuild": [["RUN id"]],
    "StopSignal": ["SIGUSR1"],
    "StopTimeout": [10**6],
    "Hostname": ["mlflow"],
    "Domainname": ["example.org"],
    "MacAddress": ["02:42:ac:11:00:02"],
    "NetworkDisabled": [True],
    "NetworkingConfig": [
        {"EndpointsConfig": {"somebody_elses": {}}},
        {"EndpointsConfig": {"host": {}}},
        {},
    ],
    "Tty": [True],
    "OpenStdin": [True],
    "StdinOnce": [True],
    "AttachStdin": [True],
    "AttachStdout": [False],
    "ArgsEscaped": [True],
    "Runtime": ["runc"],
    "HostConfig": [None, {}, [], "x"],
    "Labels": [None, {}, [], {"microstage.pipeline": "default", "microstage.stage": "look"}],
    "Binds": [["/:/host"]],
    "Privileged": [True],
    "Platform": ["linux/arm64"],
}

LABELS: dict[str, list[Any]] = {
    "microstage.install": ["microstage", "", None],
    "microstage.key": ["look-0000000000000000", "../../x", ""],
    "microstage.pipeline": ["flights", "nobody", "", "../dags", "stages"],
    "microstage.stage": ["wait", "reach", "nobody", "", 1],
    "microstage.task": ["other", "a/b", "..", "", "look\n"],
    "microstage.dag": ["other", "x" * 513, "a\nb"],
    "microstage.run": ["other", "\x1b[2J"],
    "microstage.map": ["1", "x", "", "--1"],
    "microstage.try": ["x", "-1", ""],
    "microstage.day": ["2013-01-07", "2013-13-01", "../../etc", "today"],
    "microstage.deadline": ["0", "99999999999", "never", "-1", ""],
    "microstage.more": ["x"],
    "org.microstage.guard": [INSTALL],
    "com.docker.compose.project": ["microstage"],
}

CHANGES: dict[str, Change] = {
    **{f"host {k} {v!r:.40}": _host(k, v) for k, values in HOST.items() for v in values},
    **{f"{k} {v!r:.40}": _top(k, v) for k, values in TOP.items() for v in values},
    **{f"label {k} {v!r:.20}": _label(k, v) for k, values in LABELS.items() for v in values},
    # --- mounts
    "mount of the root": _more(),
    "mount of the socket": _more(Source="/var/run/docker.sock"),
    "mount of proc": _more(Source="/proc/1/root"),
    "mount twice": lambda body: body["HostConfig"]["Mounts"].append(_of(body, "/in/model")),
    "mount over the code": _mount(Target="/app"),
    "mount over etc": _mount(Target="/etc"),
    "mount at the root": _mount(Target="/"),
    "mount with dots as a target": _mount(Target="/in/../etc"),
    "mount below /in without a name": _mount(Target="/in/"),
    "mount below another": _mount(Target="/in/model/x"),
    "mount relative": _mount(Target="in/model"),
    "mount of a number": _mount(Target=1),
    "mount to be written": _mount(ReadOnly=False),
    "mount read-only as a text": _mount(ReadOnly="true"),
    "mount read-only as a number": _mount(ReadOnly=1),
    "mount without read-only": lambda body: _of(body, "/in/model").pop("ReadOnly") and None,
    "mount of a volume": _mount(Type="volume", Source=f"{INSTALL}_data"),
    "mount of somebody's volume": _mount(Type="volume", Source="postgres-data"),
    "mount of a volume by a driver": _mount(
        Type="volume", Source="x", VolumeOptions={"DriverConfig": {"Name": "local"}}
    ),
    "mount with a subpath": _mount(VolumeOptions={"Subpath": ".."}),
    "mount with a driver": _mount(
        VolumeOptions={"DriverConfig": {"Options": {"device": "/", "o": "bind", "type": "none"}}}
    ),
    "mount shared": _mount(BindOptions={"Propagation": "rshared"}),
    "mount that makes its source": _mount(BindOptions={"CreateMountpoint": True}),
    "mount not recursive": _mount(BindOptions={"NonRecursive": True}),
    "mount with tmpfs options": _mount(TmpfsOptions={"Mode": 0o7777}),
    "mount of tmpfs": _mount(Type="tmpfs", Source=""),
    "mount of a pipe": _mount(Type="npipe"),
    "mount of a cluster's": _mount(Type="cluster"),
    "mount with consistency": _mount(Consistency="delegated"),
    "source of all data": _source("/models/one", ""),
    "source with a slash": _source("/models/one", "/models/one/"),
    "source with two slashes": _source("/models/one", "//models/one"),
    "source with a dot": _source("/models/one", "/./models/one"),
    "source with dots": _source("/models/one", "/models/../raw/2013-01-05"),
    "source out of it": _source("/models/one", "/../../etc"),
    "source absolute": _mount(Source="/etc"),
    "source relative": _mount(Source="models/one"),
    "source with a prefix alike": _source("/data/", "/data2/"),
    "source in staging": _source("/models/one", "/.staging"),
    "source of the tables": _source("/models/one", "/.tables"),
    "source of another pipeline": _source("/models/one", "/flights/raw/x"),
    "source with a NUL": _source("/models/one", "/models/one\0"),
    "source with a line": _source("/models/one", "/models/one\n"),
    "source in other letters": _source("/models/one", "/models/ｏne"),
    "source with a day that is none": _source("2013-01-05", "2013-02-30", "/in/raw/2013-01-05"),
    "source of another day": _source("2013-01-05", "2013-01-04", "/in/raw/2013-01-05"),
    "source of another name": _source("/raw/", "/same/", "/in/raw/2013-01-05"),
    "source of a later day": lambda body: _of(body, "/in/raw/2013-01-05").update(
        Source=_of(body, "/in/raw/2013-01-05")["Source"].replace("-05", "-07"),
        Target="/in/raw/2013-01-07",
    ),
    "source of a day of digits elsewhere": _source("2013", "２０１３", "/in/raw/2013-01-05"),
    "out read-only": _out(ReadOnly=True),
    "out of all data": _source("/.staging/", "/", "/out"),
    "out of staging": lambda body: _of(body, "/out").update(
        Source=_of(body, "/out")["Source"].rpartition("/")[0]
    ),
    "out of what is published": lambda body: _of(body, "/out").update(
        Source=_of(body, "/in/raw/2013-01-05")["Source"]
    ),
    "out of another task": _source("look-", "wait-", "/out"),
    "out with dots": _source("/.staging/", "/.staging/../raw/", "/out"),
    "out deeper": lambda body: _of(body, "/out").update(Source=_of(body, "/out")["Source"] + "/x"),
    "out elsewhere": _out(Target="/out/x"),
    "out twice": _more(Target="/out", ReadOnly=False),
    "no out": lambda body: body["HostConfig"]["Mounts"].remove(_of(body, "/out")),
    "a required input less": lambda body: body["HostConfig"]["Mounts"].remove(
        _of(body, "/in/model")
    ),
    "no mounts": _without("HostConfig", "Mounts"),
    # --- the same by the text of the JSON
    "a key twice, the last counts": _text(lambda text: text[:-1] + ', "User": "0:0"}'),
    "a key twice, the first is bad": _text(lambda text: '{"User": "0:0", ' + text[1:]),
    "HostConfig twice": _text(lambda text: text[:-1] + ', "HostConfig": {"Privileged": true}}'),
    "a key of a mount twice": _text(
        lambda text: text.replace('"Type": "bind"', '"Type": "bind", "Source": "/"', 1)
    ),
    "small letters": _text(lambda text: text[:-1] + ', "hostconfig": {"Privileged": true}}'),
    "small letters inside": _text(
        lambda text: text.replace('"Init"', '"privileged": true, "Init"')
    ),
    "letters that fold": _text(
        lambda text: text.replace('"Init"', '"Bind\\u017f": ["/:/h"], "Init"')
    ),
    "the Kelvin sign": _text(lambda text: text[:-1] + ', "Networ\\u212aDisabled": false}'),
    "an escape in a key": _text(
        lambda text: text.replace('"Init"', '"\\u0050rivileged": true, "Init"')
    ),
    "an escape makes a key twice": _text(lambda text: text[:-1] + ', "\\u0055ser": "0:0"}'),
    "a lone surrogate": _text(lambda text: text.replace('"Init"', '"\\ud800": 1, "Init"')),
    "deep brackets": _text(lambda text: text[:-1] + f', "X": {"[" * 5000}{"]" * 5000}}}'),
    "deep braces": _text(lambda text: text[:-1] + ', "X": ' + '{"a":' * 900 + "1" + "}" * 901),
    "deep, never closed": _text(lambda _: "[" * 100_000),
    "a number too large": _text(lambda text: text.replace("67108864", "1e400", 1)),
    "a number in floats": _text(lambda text: text.replace("67108864", "6.7108864e7", 1)),
    "a number of many digits": _text(lambda text: text.replace("67108864", "9" * 5000, 1)),
    "minus nothing": _text(lambda text: text.replace("67108864", "-0", 1)),
    "not a number": _text(lambda text: text.replace("67108864", "NaN", 1)),
    "endless": _text(lambda text: text.replace("67108864", "Infinity", 1)),
    "a comment": _text(lambda text: "/* x */" + text),
    "two objects": _text(lambda text: text + text),
    "a trailing object": _text(lambda text: text + '{"User": "0:0"}'),
    "a comma too many": _text(lambda text: text[:-1] + ",}"),
    "a mark of byte order": _text(lambda text: b"\xef\xbb\xbf" + text.encode()),
    "UTF-16": _text(lambda text: text.encode("utf-16")),
    "UTF-8": _text(lambda text: text.replace("look", "löök").encode()),
    "not UTF-8": _text(lambda text: text.encode() + b"\xff"),
    "a NUL behind": _text(lambda text: text + "\0"),
    "a list": _text(lambda text: f"[{text}]"),
    "nothing": _text(lambda _: ""),
    "null": _text(lambda _: "null"),
    "a text": _text(lambda _: '"look"'),
    "cut off": _text(lambda text: text[: len(text) // 2]),
}
