"""scripts/audit on images whose weaknesses are known beforehand, beside real ones."""

import json
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from images import Builder


class Advisories(BaseHTTPRequestHandler):
    """An OSV server that knows of one fault, in numpy: https://google.github.io/osv.dev/api/"""

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        package = query["package"]
        events = [{"introduced": "0"}, {"fixed": "99.0"}]
        affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
        known = [{"id": "TEST-2026-1", "summary": "x", "affected": affected}]
        answer = json.dumps({"vulns": known} if package["name"] == "numpy" else {}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def osv() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


@pytest.fixture
def image(builder: Builder, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """An image with nothing but a list that names these packages: (kind, name, version)."""
    parts = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:{kind}/x"}
        for kind, name, version in request.param
    ]
    (tmp_path / "list").write_text(json.dumps({"components": parts}))
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY list /usr/share/sbom/image.cdx.json\n")
    tag = builder.tag("listed")
    subprocess.run(["docker", "build", "--quiet", f"--tag={tag}", tmp_path], check=True)
    return tag


@pytest.mark.parametrize("image", [[("pypi", "numpy", "1.0"), ("pypi", "six", "1")]], indirect=True)
def test_a_python_package_with_an_advisory_is_named_with_its_correction(
    builder: Builder, image: str, osv: str
) -> None:
    done = builder.run("scripts/audit", "--osv-url", osv, image)

    assert (1, "") == (done.returncode, done.stderr)
    assert [
        f"numpy 1.0: TEST-2026-1, fixed in 99.0 (in {image})",
        "1 of 2 packages looked up need an update",
    ] == done.stdout.splitlines()


@pytest.mark.parametrize(
    "image", [[("deb", "libc6", "2.41-1"), ("deb", "zlib1g", "99:1")]], indirect=True
)
def test_a_debian_package_that_debian_has_corrected_is_named(builder: Builder, image: str) -> None:
    done = builder.run("scripts/audit", image)

    assert (1, "") == (done.returncode, done.stderr)
    first, last = done.stdout.splitlines()
    assert first.startswith("libc6 2.41-1: trixie")
    assert "1 of 2 packages looked up need an update" == last


@pytest.mark.parametrize("image", [[("pypi", "numpy", "1.0")]], indirect=True)
def test_a_database_out_of_reach_is_told_and_is_not_the_same_as_nothing_found(
    builder: Builder, image: str
) -> None:
    done = builder.run("scripts/audit", "--osv-url", "http://127.0.0.1:9/v1/query", image)

    assert 69 == done.returncode
    assert "0 of 0 packages looked up need an update" in done.stdout
    assert "no advisories for Python here: http://127.0.0.1:9/" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("image", [[("pypi", "six", "1")]], indirect=True)
def test_nothing_found_ends_with_0(builder: Builder, image: str, osv: str) -> None:
    done = builder.run("scripts/audit", "--osv-url", osv, image)

    assert (0, "") == (done.returncode, done.stderr)


def test_an_image_that_is_not_there_or_has_no_list_is_refused_with_66(builder: Builder) -> None:
    absent = builder.run("scripts/audit", "trian")
    bare = builder.run("scripts/audit", f"{builder.prefix}/debian:trixie")

    assert (66, 66) == (absent.returncode, bare.returncode)
    assert f"There is no image {builder.tag('trian')}" in absent.stderr
    assert "carries no list of its contents" in bare.stderr
