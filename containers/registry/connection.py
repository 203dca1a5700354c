"""Reach MLflow, and say in one sentence why it cannot be reached or refuses."""

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stageframe import TRY_AGAIN, WRONG_USAGE, StageError

Verb = Callable[..., dict[str, Any]]

# MLflow's own settings, unless the user has set them. https://mlflow.org/docs/latest/api_reference/
# python_api/mlflow.environment_variables.html
SETTINGS = {
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
# Whether MLflow is there is known in a few seconds; then it may take its time over large files.
FIRST = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
THEN = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}

DENIED = "Permission denied"  # MLflow's words for what a user may not do

# What a message of the libraries means, in the words of who has to mend it; the first that fits.
FAULTS = {
    r"[Ff]ailed to resolve|Name or service not known|name resolution": "is not known by that name",
    r"Connection refused": "does not answer, as nothing listens there",
    r"[Tt]imed out": "does not answer in time",
    r"unreachable|No route to host": "cannot be reached over the network",
    r"SSL": "does not answer over HTTPS, as MLFLOW_TRACKING_URI asks for",
    r"[Cc]onnection (aborted|broken|reset)": "broke the connection off",
    r"too many (\d+) error": r"cannot do its work now (error \1)",
}


class UnreachableError(StageError):
    """MLflow does not answer, or cannot do its work now."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"MLflow at {address()} {what}: see that it runs (in the compose stack: the service "
            "mlflow), then try again",
            TRY_AGAIN,
        )


def address() -> str:
    """Return where MLflow is, as the user has set it. Raises StageError (64)."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not re.match(r"https?://[^/]", uri):
        given = f"is {uri!r}" if uri else "is not set"
        raise StageError(
            f"MLFLOW_TRACKING_URI {given}: set it to where MLflow is, such as http://mlflow:5000",
            WRONG_USAGE,
        )
    return without_password(uri)


def needs_address(verb: Verb) -> Verb:
    """Let a verb end with 64 before it reads anything, if it is not said where MLflow is."""

    @functools.wraps(verb)
    def checked(**parameters: Any) -> dict[str, Any]:
        address()
        return verb(**parameters)

    return checked


def without_password(text: str) -> str:
    """Return a text whose addresses hold no user and no password."""
    return re.sub(r"//[^/@\s]*@", "//", text)


@contextmanager
def mlflow_client(name: str) -> Iterator[tuple[Any, Any]]:
    """Give MLflow's client, and the registered model or None; errors become StageErrors."""
    for setting, value in SETTINGS.items():
        os.environ.setdefault(setting, value)
    ours = FIRST.keys() - os.environ.keys()
    os.environ.update({setting: FIRST[setting] for setting in ours})
    # Not at the top: it takes half a second, which --help and bad inputs need not wait for; and
    # it reads the settings.
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from mlflow.tracking import MlflowClient  # noqa: PLC0415
    from requests import HTTPError, RequestException  # noqa: PLC0415

    try:
        client = MlflowClient()
        model = None
        try:
            model = client.get_registered_model(name)
        except MlflowException as error:
            # Every user may read; of a path that is not its own MLflow tells its admin alone.
            if error.get_http_status_code() == 403 and DENIED in str(error):
                raise nothing_there() from error
            if not str(error).startswith("RESOURCE_DOES_NOT_EXIST"):
                raise
        os.environ.update({setting: THEN[setting] for setting in ours})
        yield client, model
    except MlflowException as error:
        raise failure(error.get_http_status_code(), str(error)) from error
    except HTTPError as error:  # of files
        status = error.response.status_code if error.response is not None else 500
        raise failure(status, str(error)) from error
    except RequestException as error:
        raise failure(500, str(error)) from error


@contextmanager
def unless_there() -> Iterator[None]:
    """Make something in MLflow, unless another one did so at the same time."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see mlflow_client

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def files_below(uri: str) -> Any:
    """Return what reads and writes the files below a URI of MLflow."""
    from mlflow.store.artifact import artifact_repository_registry  # noqa: PLC0415 - likewise

    return artifact_repository_registry.get_artifact_repository(uri)


def failure(status: int, message: str) -> StageError:
    """Return what an answer of MLflow, or none, means to the user."""
    message = without_password(message)
    if status in (401, 403):
        return refusal(status, message)
    if "CERTIFICATE_VERIFY_FAILED" in message:
        return StageError(
            f"The certificate of {address()} is not trusted: set MLFLOW_TRACKING_SERVER_CERT_PATH "
            "to a file with the one that signed it",
            WRONG_USAGE,
        )
    if "failed with error code 404" in message or "Invalid url" in message:
        return nothing_there()
    if status >= 500 or status in (408, 429):
        for pattern, words in FAULTS.items():
            if found := re.search(pattern, message):
                return UnreachableError(found.expand(words))
        return UnreachableError(f"does not answer: {message[:200]}")
    return StageError(f"MLflow at {address()} refuses it: {message[:300]}")


def nothing_there() -> StageError:
    """Return what it means that something else than MLflow answers."""
    return StageError(f"No MLflow is at {address()}: check MLFLOW_TRACKING_URI", WRONG_USAGE)


def refusal(status: int, message: str) -> StageError:
    """Return what it means that MLflow does not let us in, or not do this."""
    if status == 403 and DENIED in message:
        user = os.environ.get("MLFLOW_TRACKING_USERNAME", "")
        return StageError(
            f"MLflow at {address()} does not let {user!r} change what another user has made there: "
            f"let MLflow's admin give {user!r} the permission MANAGE of the experiment and the "
            "model of that name, or take another --name",
            WRONG_USAGE,
        )
    return StageError(
        f"MLflow at {address()} refuses us with {status}: check MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD (in the compose stack: MLFLOW_STAGES_PASSWORD in .env, then "
        "docker compose up --wait), and that the server's allowed hosts hold the one in "
        "MLFLOW_TRACKING_URI",
        WRONG_USAGE,
    )
