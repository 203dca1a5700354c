"""How MLflow is reached, and what is said when it is not."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from harness import finished
from registry.server import Files, Mlflow, model_inputs, tracked

SETTINGS = ["MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"]
COMPOSE = "MLFLOW_STAGES_PASSWORD in .env, then docker compose up --wait"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"MLFLOW_TRACKING_URI": ""}, ["MLFLOW_TRACKING_URI is not set"]),
        ({"MLFLOW_TRACKING_URI": "sqlite:///x"}, ["MLFLOW_TRACKING_URI is 'sqlite:///x'"]),
        ({"MLFLOW_TRACKING_URI": "http://mlflow:5000/wrong"}, ["No MLflow is at", SETTINGS[0]]),
        ({"MLFLOW_TRACKING_PASSWORD": "wrong"}, ["refuses us with 401", COMPOSE, *SETTINGS]),
        ({"MLFLOW_TRACKING_USERNAME": ""}, ["refuses us with 401", COMPOSE, *SETTINGS]),
    ],
)
def test_wrong_settings_are_wrong_usage(
    mlflow: Mlflow, changes: dict[str, str], words: list[str]
) -> None:
    result = mlflow.run("track", model_inputs(), **changes)

    assert 64 == result.code
    assert [] == [word for word in words if word not in result.last_error]


def test_a_host_that_the_server_does_not_allow_is_wrong_usage(mlflow: Mlflow) -> None:
    result = mlflow.run("fetch", MLFLOW_TRACKING_URI=f"http://{mlflow.container.name}:5000")

    assert 64 == result.code
    assert "allowed hosts" in result.last_error


def test_what_another_user_has_made_is_left_alone_and_told_how_to_get(mlflow: Mlflow) -> None:
    mlflow.call("POST", "registered-models/create", name=mlflow.name)
    result = mlflow.run("track", model_inputs())

    assert 64 == result.code
    assert "does not let 'stages' change what another user has made" in result.last_error
    assert [] == mlflow.versions()


def test_a_password_in_the_address_is_not_shown(mlflow: Mlflow) -> None:
    result = mlflow.run("fetch", MLFLOW_TRACKING_URI="http://admin:secret@127.0.0.1:9")

    assert 75 == result.code
    assert "secret" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://127.0.0.1:9", "does not answer, as nothing listens there"),
        ("http://no-such-host:5000", "is not known by that name"),
        ("https://mlflow:5000", "does not answer over HTTPS, as MLFLOW_TRACKING_URI asks for"),
    ],
)
def test_a_server_that_is_not_there_is_known_in_seconds(
    mlflow: Mlflow, uri: str, words: str
) -> None:
    result = mlflow.run("track", model_inputs(), MLFLOW_TRACKING_URI=uri)

    assert (75, 1) == (result.code, len(result.stderr.splitlines()))
    assert result.last_error == (
        f"MLflow at {uri} {words}: see that it runs (in the compose stack: the service mlflow), "
        "then try again"
    )
    assert result.seconds < 20  # with a machine that does much else


def test_a_server_that_hangs_is_known_in_seconds(mlflow: Mlflow) -> None:
    with paused(mlflow):
        result = mlflow.run("track", model_inputs())

    assert (75, 1) == (result.code, len(result.stderr.splitlines()))
    assert "does not answer in time" in result.last_error
    assert result.seconds < 30


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            b"HTTP/1.1 503 Not Now\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "cannot do its work now (error 503)",
        ),
        (b"", "broke the connection off"),
    ],
)
def test_a_server_that_is_in_trouble_is_worth_another_try(
    mlflow: Mlflow, answer: bytes, words: str
) -> None:
    with socket.create_server((gateway(mlflow), 0)) as listener:
        threading.Thread(target=always, args=(listener, answer), daemon=True).start()
        uri = "http://{}:{}".format(*listener.getsockname())
        result = mlflow.run("fetch", MLFLOW_TRACKING_URI=uri)

    assert 75 == result.code
    assert f"MLflow at {uri} {words}: see that it runs" in result.last_error


def gateway(mlflow: Mlflow) -> str:
    """This machine's address on the server's network."""
    network = mlflow.engine.client.networks.get(mlflow.network)
    address: str = network.attrs["IPAM"]["Config"][0]["Gateway"]
    return address


def always(listener: socket.socket, answer: bytes) -> None:
    """Give every request the same answer."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:  # closed: the test is over
            return
        with client:
            client.recv(2**16)
            client.sendall(answer)


@pytest.mark.parametrize("verb", ["track", "fetch"])
def test_sigterm_ends_it_while_mlflow_hangs(mlflow: Mlflow, verb: str) -> None:
    command = [verb, "--name", mlflow.name, *(["--date", "2013-01-10"] * (verb == "track"))]
    inputs = model_inputs() if verb == "track" else {}
    start, options = mlflow.engine.start, mlflow.options()
    with paused(mlflow), start("registry", command, inputs=inputs, init=False, **options) as c:
        time.sleep(3)
        c.reload()
        assert "running" == c.status, c.logs()
        c.kill("SIGTERM")
        sent = time.monotonic()
        code, seconds = finished(c, timeout=20), time.monotonic() - sent

    assert 143 == code
    assert seconds < 2


@contextmanager
def paused(mlflow: Mlflow) -> Iterator[None]:
    mlflow.container.pause()
    try:
        yield
    finally:
        mlflow.container.unpause()


def test_mlflow_behind_https_is_trusted_by_its_certificate(mlflow: Mlflow, tmp_path: Path) -> None:
    tracked(mlflow, "one tree")
    with https(mlflow, tmp_path) as (uri, certificate):
        inputs: Files = {"certificate": {"ca.pem": certificate}}
        path = "/in/certificate/ca.pem"
        trusted = mlflow.run(
            "fetch", inputs, MLFLOW_TRACKING_URI=uri, MLFLOW_TRACKING_SERVER_CERT_PATH=path
        )
        unknown = mlflow.run("fetch", inputs, MLFLOW_TRACKING_URI=uri)

    assert 66 == trusted.code
    assert "in production yet" in trusted.last_error
    assert 64 == unknown.code
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in unknown.last_error


@contextmanager
def https(mlflow: Mlflow, folder: Path) -> Iterator[tuple[str, str]]:
    """The server behind TLS, at the network's address of this machine; and its certificate."""
    address = gateway(mlflow)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=mlflow", "-addext", f"subjectAltName=IP:{address}"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server((address, 0)) as listener:
        threading.Thread(target=serve, args=(listener, context, mlflow), daemon=True).start()
        yield f"https://{address}:{listener.getsockname()[1]}", certificate.read_text()


def serve(listener: socket.socket, context: ssl.SSLContext, mlflow: Mlflow) -> None:
    """Pass each connection's first request on, under the name that the server allows."""
    while True:
        with suppress(ssl.SSLError):
            try:
                plain, _ = listener.accept()
            except OSError:  # closed: the test is over
                return
            with context.wrap_socket(plain, server_side=True) as client:
                request = client.recv(2**16).decode()
                lines = [line for line in request.split("\r\n") if not line.startswith("Host:")]
                lines[1:1] = ["Host: mlflow:5000", "Connection: close"]
                host, port = mlflow.url.removeprefix("http://").split(":")
                with socket.create_connection((host, int(port))) as behind:
                    behind.sendall("\r\n".join(lines).encode())
                    while block := behind.recv(2**16):
                        client.sendall(block)
