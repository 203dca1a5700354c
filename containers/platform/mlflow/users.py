"""The user "stages", as whom the stages' containers come: made by the server's admin, in its API.

It may read what there is, and change what it made itself: experiments with their runs and files,
models with their versions. What stages recorded as admin, which they were once, becomes its own.
"""

import base64
import json
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

SERVER = "http://127.0.0.1:5000"
HOST = "mlflow:5000"  # the name that the server is sure to answer to
STAGES = "stages"
RECORDED = "tags.`microstage.key` != ''"  # the tag of all that containers/registry records


class RefusedError(Exception):
    """The status and the words with which MLflow refuses something."""


class Client:
    """A user of MLflow's REST API: https://mlflow.org/docs/latest/self-hosting/security/."""

    def __init__(self, user: str, password: str) -> None:
        word = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {word}",
            "Content-Type": "application/json",
            "Host": HOST,
        }

    def call(self, method: str, path: str, **fields: object) -> dict[str, Any]:
        """Ask the API: GET sends fields as parameters, all else as JSON. Raises RefusedError."""
        query = f"?{urllib.parse.urlencode(fields)}" if method == "GET" else ""
        body = None if method == "GET" else json.dumps(fields).encode()
        request = urllib.request.Request(  # noqa: S310 - of this container
            f"{SERVER}/api/{path}{query}", body, self._headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - likewise
                content: dict[str, Any] = json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise RefusedError(error.code, error.read()[:300].decode()) from None
        return content

    def make(self, path: str, **fields: object) -> None:
        """Make something, unless it is there. Raises RefusedError."""
        try:
            self.call("POST", path, **fields)
        except RefusedError as error:
            if "RESOURCE_ALREADY_EXISTS" not in str(error):
                raise

    def pages(self, method: str, path: str, key: str, **fields: object) -> Iterator[dict[str, Any]]:
        """Yield what a search finds, page by page."""
        token = ""
        while True:
            page = self.call(method, path, **fields, **({"page_token": token} if token else {}))
            yield from page.get(key, [])
            token = page.get("next_page_token", "")
            if not token:
                return

    def is_known(self) -> bool:
        """Return whether the server lets this user in; waits until it answers."""
        while True:
            try:
                self.call("GET", "2.0/mlflow/users/current")
            except RefusedError as error:
                if error.args[0] == 401:
                    return False
                raise
            except OSError:  # it is not up yet
                time.sleep(0.2)
            else:
                return True


def provide(password: str, admin_password: str) -> None:
    """Let the user "stages" have this password, and what stages have recorded before.

    Raises SystemExit with a sentence if MLflow refuses it.
    """
    try:
        make(password, admin_password)
    except RefusedError as error:
        raise SystemExit(
            f"MLflow refuses to make the user {STAGES} {error}: see that MLFLOW_STAGES_PASSWORD in "
            ".env has 12 characters or more, then docker compose up --wait"
        ) from None


def make(password: str, admin_password: str) -> None:
    """Do so. Its password comes last: whoever can log in finds everything in its place."""
    if Client(STAGES, password).is_known():
        return
    admin = Client("admin", admin_password)
    admin.make("2.0/mlflow/users/create", username=STAGES, password=secrets.token_hex())
    for kind, name in recorded(admin):
        admin.make(
            "3.0/mlflow/users/permissions/grant",
            username=STAGES,
            resource_type=kind,
            resource_id=name,
            permission="MANAGE",
        )
    admin.call("PATCH", "2.0/mlflow/users/update-password", username=STAGES, password=password)


def recorded(admin: Client) -> Iterator[tuple[str, str]]:
    """Yield the experiments and models in which stages have recorded something."""
    search = "2.0/mlflow/experiments/search"
    for experiment in admin.pages("POST", search, "experiments", max_results=1000):
        number = experiment["experiment_id"]
        runs = {"experiment_ids": [number], "filter": RECORDED, "max_results": 1}
        if admin.call("POST", "2.0/mlflow/runs/search", **runs).get("runs"):
            yield "experiment", number
    search = "2.0/mlflow/registered-models/search"
    for model in admin.pages("GET", search, "registered_models", max_results=100):
        name = model["name"].replace("'", "''")
        versions = {"filter": f"name = '{name}' and {RECORDED}", "max_results": 1}
        if admin.call("GET", "2.0/mlflow/model-versions/search", **versions).get("model_versions"):
            yield "registered_model", model["name"]
