"""Which engine a script works with: the one that the docker command means."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microstage.endpoint import Endpoint, endpoint
from microstage.errors import StageError

Write = Callable[..., None]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of docker's settings, and nothing else that names an engine."""
    for name in ("HOST", "CONTEXT", "TLS_VERIFY", "CERT_PATH"):
        monkeypatch.delenv(f"DOCKER_{name}", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


@pytest.fixture
def context(config: Path) -> Write:
    """Write a context: context("alt", "unix:///alt.sock"), with files of TLS of these names."""

    def write(name: str, host: str, *pems: str, skip: bool = False) -> None:
        folder = hashlib.sha256(name.encode()).hexdigest()
        engine = {"Host": host, "SkipTLSVerify": skip}
        meta = config / "contexts/meta" / folder / "meta.json"
        meta.parent.mkdir(parents=True)
        meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": engine}}))
        tls = config / "contexts/tls" / folder / "docker"
        tls.mkdir(parents=True)
        for pem in pems:
            (tls / f"{pem}.pem").touch()

    return write


def use(config: Path, name: str) -> None:
    (config / "config.json").write_text(json.dumps({"currentContext": name}))


def reason() -> str:
    with pytest.raises(StageError) as refused:
        endpoint()
    assert 64 == refused.value.code
    return str(refused.value)


def test_where_nothing_names_one_it_is_the_local_socket(config: Path) -> None:
    assert Endpoint({}, "its local socket") == endpoint()
    use(config, "default")
    assert Endpoint({}, "its local socket") == endpoint()


def test_the_host_goes_over_a_named_context_and_that_over_the_current_one(
    config: Path, context: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    context("current", "unix:///current.sock")
    context("named", "unix:///named.sock")
    use(config, "current")
    found.append(endpoint())
    monkeypatch.setenv("DOCKER_CONTEXT", "named")
    found.append(endpoint())
    monkeypatch.setenv("DOCKER_HOST", "tcp://host:2375")
    found.append(endpoint())
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    found.append(endpoint())

    names = ["unix:///current.sock", "unix:///named.sock", "tcp://host:2375", "its local socket"]
    assert names == [one.name for one in found]
    assert [*names[:3], None] == [one.arguments.get("base_url") for one in found]


def test_a_context_is_found_without_a_config_file(
    context: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    context("alt", "unix:///alt.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "alt")

    assert "unix:///alt.sock" == endpoint().name


@pytest.mark.parametrize(
    ("pems", "skip", "expected"),
    [
        (["ca", "cert", "key"], False, (("cert.pem", "key.pem"), "ca.pem", True)),
        (["ca"], False, (None, "ca.pem", True)),
        ([], True, (None, None, False)),
        ([], False, None),
    ],
)
def test_the_tls_of_a_context_is_that_of_its_engine(
    config: Path, context: Write, pems: list[str], skip: bool, expected: Any
) -> None:
    context("far", "tcp://far:2376", *pems, skip=skip)
    use(config, "far")
    tls = endpoint().arguments.get("tls")
    found = tls and (
        tls.cert and tuple(Path(file).name for file in tls.cert),
        tls.ca_cert and Path(tls.ca_cert).name,
        tls.verify,
    )

    assert expected == found


def test_a_context_that_is_not_there_or_not_whole_is_one_sentence(
    config: Path, context: Write
) -> None:
    use(config, "gone")
    assert f"The docker context gone is not to be read in {config}/contexts" in reason()
    context("gone", "unix:///gone.sock")
    [meta] = config.rglob("meta.json")
    for text in ("{", "[]", '{"Endpoints": {}}', '{"Endpoints": {"docker": []}}'):
        meta.write_text(text)

        assert "docker context use, or set DOCKER_HOST" in reason()


def test_an_engine_behind_ssh_is_refused_with_the_way_there(
    config: Path, context: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    context("far", "ssh://me@far")
    use(config, "far")
    assert "ssh://me@far is behind ssh" in reason()
    monkeypatch.setenv("DOCKER_HOST", "ssh://other")

    assert "DOCKER_HOST to unix:///tmp/docker.sock" in reason()


def test_tls_files_of_the_host_that_are_not_there_are_one_sentence(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://host:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(config))

    assert "The TLS files for tcp://host:2376 are not whole" in reason()


@pytest.mark.skipif(not shutil.which("docker"), reason="there is no docker command")
@pytest.mark.usefixtures("config")
def test_what_the_docker_command_writes_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["docker", "context", "create", "alt", "--docker", "host=unix:///alt.sock"]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("DOCKER_CONTEXT", "alt")

    assert "unix:///alt.sock" == endpoint().name
