"""What a worker host is refused for, before anything is pulled; without Docker."""

import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from email.utils import formatdate
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import fill
from threading import Thread

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from support import swaps, worker_host
from support.worker_host import (
    check_clock,
    check_control,
    check_settings,
    check_share,
    pull,
    rows,
)

from microstage.errors import StageError
from microstage.images import Image, name_of_pin

ROOT = Path(__file__).resolve().parents[2]
UID = os.getuid()
CONFIG, MANIFEST, OTHER = (f"sha256:{letter * 64}" for letter in "abc")


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    shutil.copy(ROOT / "dags/stages.toml", folder)
    return folder


def test_the_env_of_another_host_is_refused() -> None:
    with pytest.raises(StageError, match="make_env --workers ADDRESS on the control host"):
        check_settings({"COMPOSE_FILE": "docker-compose.yml"})
    check_settings({"COMPOSE_FILE": "worker.yml"})


def test_a_share_that_is_there_is_taken_and_left_as_it_is(tmp_path: Path, dags: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    check_share(data, dags, UID, os.getgid())

    assert [] == list(data.iterdir())


def test_a_share_that_is_not_mounted_or_anothers_is_refused(tmp_path: Path, dags: Path) -> None:
    for data, folder, uid, sentence in (
        (tmp_path, tmp_path, UID, "no stages.toml in"),
        (tmp_path / "data", dags, UID, "mount the data folder of the control host there"),
        (tmp_path, dags, UID + 1, f"belongs to uid {UID} here, and to {UID + 1} on the control"),
    ):
        with pytest.raises(StageError, match=sentence):
            check_share(data, folder, uid, os.getgid())


@pytest.mark.parametrize("off", [-3600, -6, 6, 3600])
def test_a_clock_that_is_off_is_told(off: float) -> None:
    with pytest.raises(StageError, match=re.escape(f"clock of it is {off:+.0f} s off")):
        check_clock(off, "it")


def test_clocks_may_differ_a_little() -> None:
    check_clock(1, "it")


def certificate_for(address: str, folder: Path) -> str:
    """Draw one as scripts/make_env does, and put it, with its key, into a file; return it."""
    script = (ROOT / "scripts/make_env").read_text()
    [program] = re.findall(r"(?s)CERTIFICATE='(.*?)'\n", script)
    pkcs8 = (Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    key = b64encode(Ed25519PrivateKey.generate().private_bytes(*pkcs8)).decode()
    draw = [sys.executable, "-c", program, address]
    done = subprocess.run(draw, input=key, capture_output=True, text=True, check=True)
    made = done.stdout.strip()
    with (folder / "server.pem").open("w") as file:
        for kind, text in {"PRIVATE KEY": key, "CERTIFICATE": made}.items():
            file.write(f"-----BEGIN {kind}-----\n{fill(text, 64)}\n-----END {kind}-----\n")
    return made


@pytest.fixture
def control(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A control host that answers by TLS: its address, and the certificate of it."""
    certificate = certificate_for("127.0.0.1", tmp_path)
    (tmp_path / "execution").mkdir()
    (tmp_path / "execution/health").write_text("ok")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", certificate
    server.shutdown()
    server.server_close()


def test_the_control_host_is_known_by_its_certificate_alone(
    control: tuple[str, str], tmp_path: Path
) -> None:
    check_control(*control)
    another = certificate_for("127.0.0.1", tmp_path)

    with pytest.raises(StageError, match="CERTIFICATE_VERIFY_FAILED"):
        check_control(control[0], another)


def test_a_control_host_whose_clock_is_off_is_told(
    control: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = formatdate(time.time() - 60, usegmt=True)
    monkeypatch.setattr(SimpleHTTPRequestHandler, "date_time_string", lambda *_: said)

    with pytest.raises(StageError, match=r"The clock of https://127.0.0.1:\d+ is -6\d s off"):
        check_control(*control)


def test_a_control_host_that_does_not_answer_is_a_sentence_and_a_retry(tmp_path: Path) -> None:
    certificate = certificate_for("127.0.0.1", tmp_path)
    with pytest.raises(StageError, match=r"does not answer at https://127\.0\.0\.1:9 ") as refused:
        check_control("https://127.0.0.1:9", certificate)

    assert 75 == refused.value.code


def test_the_images_of_a_host_are_those_of_the_rows_of_its_queues(dags: Path) -> None:
    (dags / "pipelines").mkdir()
    (dags / "pipelines/far.toml").write_text('[stages.train]\nqueue = "gpu"\nimage = "far:1"\n')

    assert ["far:1"] == [row.image for row in rows(dags, ["workers", "gpu"])]
    assert [] == list(rows(dags, ["workers"]))


@pytest.fixture
def pulled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What docker is told, on a host that has its images in containerd, and none of them yet."""
    image = Image(CONFIG, MANIFEST, frozenset({CONFIG, MANIFEST}), {})
    told: list[tuple[str, ...]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        told.append(tuple(command[1:]))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(worker_host, "find", lambda _: None)
    monkeypatch.setattr(swaps, "find", lambda _: image)
    monkeypatch.setattr(swaps, "docker", lambda *told_to: told.append(told_to))
    monkeypatch.setattr(subprocess, "run", run)
    return told


def test_an_image_is_the_one_that_is_pinned_whatever_the_control_host_keeps_it_in(
    pulled: list[tuple[str, ...]],
) -> None:
    assert CONFIG == pull("registry:5000", f"a:1@{CONFIG}")
    assert [
        ("pull", "--quiet", "registry:5000/a:1"),
        ("tag", "registry:5000/a:1", "a:1"),
        ("tag", MANIFEST, name_of_pin(CONFIG)),
    ] == pulled


def test_another_one_than_is_pinned_gets_no_name(pulled: list[tuple[str, ...]]) -> None:
    with pytest.raises(StageError, match=r"wants a:1 as sha256:cccc.* and the registry has sha256"):
        pull("registry:5000", f"a:1@{OTHER}")

    assert [("pull", "--quiet", "registry:5000/a:1")] == pulled
