"""Who is told by MLflow itself that a version goes into production, or out of it."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from registry.server import Mlflow, ready, tracked

SECRET = "a secret of the receiver's"  # noqa: S105
SECONDS = 60  # that a call may take to come, MLflow having just started

Calls = Queue[tuple[dict[str, str], bytes]]


@pytest.fixture
def calls(mlflow: Mlflow) -> Iterator[tuple[str, Calls]]:
    """A receiver on this machine: its address as MLflow sees it, and what has come."""
    found: Calls = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.put((dict(self.headers), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    mlflow.container.reload()
    gateway = mlflow.container.attrs["NetworkSettings"]["Networks"][mlflow.network]["Gateway"]
    server = HTTPServer((gateway, 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{gateway}:{server.server_port}/", found
    server.shutdown()
    server.server_close()


def data_of(calls: Calls) -> dict[str, Any]:
    """What the next call says, whose signature is the secret's."""
    headers, body = calls.get(timeout=SECONDS)
    signed = ".".join(
        [headers["X-MLflow-Delivery-Id"], headers["X-MLflow-Timestamp"], body.decode()]
    )
    digest = hmac.digest(SECRET.encode(), signed.encode(), hashlib.sha256)
    assert f"v1,{base64.b64encode(digest).decode()}" == headers["X-MLflow-Signature"]
    content: dict[str, Any] = json.loads(body)
    assert ("model_version_alias", "created") == (content["entity"], content["action"])
    data: dict[str, Any] = content["data"]
    return data


def test_a_webhook_is_told_of_promotions_and_rollbacks_also_after_a_restart(
    server: Mlflow, mlflow: Mlflow, calls: tuple[str, Calls]
) -> None:
    url, came = calls
    event = {"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}
    fields = {"name": mlflow.name, "url": url, "events": [event], "secret": SECRET}
    webhook = mlflow.call("POST", "webhooks", **fields)["webhook"]["webhook_id"]
    one, other = tracked(mlflow, "one tree"), tracked(mlflow, "two trees")
    mlflow.ok("promote", {"version": one.out})

    assert {"name": mlflow.name, "alias": "production", "version": "1"} == data_of(came)

    mlflow.container.restart(timeout=5)
    again = ready(mlflow.engine, mlflow.warm, mlflow.network, mlflow.container)
    server.url = mlflow.url = again.url
    mlflow.ok("promote", {"version": other.out})
    told = [data_of(came), data_of(came)]

    assert [("previous", "1"), ("production", "2")] == sorted(
        (data["alias"], data["version"]) for data in told
    )

    mlflow.ok("rollback", {"production": other.out})
    assert {("production", "1"), ("previous", "2")} == {
        (data["alias"], data["version"]) for data in (data_of(came), data_of(came))
    }
    mlflow.call("DELETE", f"webhooks/{webhook}")
