"""Ask MLflow what is in production, and get its files: https://mlflow.org/docs/latest/rest-api.html."""

import base64
import hashlib
import http.client
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from faults import AwayError, RefusedError
from served import CODE

ALIAS = "production"
SECRET = Path("/run/secrets/MLFLOW_TRACKING_PASSWORD")
SECONDS = 20  # without a byte from MLflow
# Tags of a version, as containers/registry sets them: digests of its files, and of its code.
FILES, CODE_FILES = "sha256.", "code.sha256."
NOTHING = "RESOURCE_DOES_NOT_EXIST"  # what MLflow says where there is no such model
BLOCK = 2**20


class Registry:
    """MLflow, asked for one model."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._address = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")
        self.shown = re.sub(r"//[^/@\s]*@", "//", self._address)
        self._headers = {}
        if user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
            password = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
            password = SECRET.read_text("utf-8").strip() if SECRET.is_file() else password
            word = base64.b64encode(f"{user}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {word}"

    def production(self) -> dict[str, Any] | None:
        """Return the version in production as its tags tell it, None where there is none.

        Its `files` are sha256 by path. Raises AwayError, RefusedError.
        """
        # Not by the alias: of one that is not there MLflow says 403.
        model = self._ask("registered-models/get", "registered_model", name=self._name)
        aliases = {one["alias"]: one["version"] for one in (model or {}).get("aliases", [])}
        if ALIAS not in aliases:
            return None
        number = aliases[ALIAS]
        found = self._ask("model-versions/get", "model_version", name=self._name, version=number)
        return described(found) if found else None

    def _ask(self, what: str, key: str, **fields: str) -> dict[str, Any] | None:
        """Return what MLflow says of something, None where that is not there."""
        query = urllib.parse.urlencode(fields)
        try:
            with self._open(f"api/2.0/mlflow/{what}?{query}") as answer:
                found: dict[str, Any] = json.loads(answer.read())[key]
        except urllib.error.HTTPError as error:
            if error.code == 404 and said(error) == NOTHING:
                return None
            raise self._away(f"answers with {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise self._away(f"broke off ({error})") from error
        except (ValueError, KeyError, TypeError) as error:
            raise self._away("does not answer as MLflow does") from error
        return found

    def download(self, version: dict[str, Any], folder: Path) -> None:
        """Write the files of a version to a folder. Raises AwayError, RefusedError, OSError."""
        base = urllib.parse.quote(version["source"].removeprefix("mlflow-artifacts:/"))
        for file, sha256 in version["files"].items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            found = hashlib.sha256()
            place = f"api/2.0/mlflow-artifacts/artifacts/{base}/{urllib.parse.quote(file)}"
            try:
                with self._open(place) as answer, path.open("wb") as target:
                    while block := self._read(answer):
                        found.update(block)
                        target.write(block)
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise self._away(f"answers with {error.code}") from error
                raise RefusedError(f"{file} of {title_of(version)} is gone from MLflow") from error
            if found.hexdigest() != sha256:
                raise RefusedError(
                    f"{file} of {title_of(version)} in MLflow is not as its tags say: it was "
                    "changed after it was recorded; promote another version"
                )

    def _open(self, place: str) -> Any:
        request = urllib.request.Request(f"{self._address}/{place}", headers=self._headers)  # noqa: S310 - an operator's own
        try:
            return urllib.request.urlopen(request, timeout=SECONDS)  # noqa: S310 - likewise
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise self._away(f"does not answer ({getattr(error, 'reason', error)})") from error

    def _read(self, answer: Any) -> bytes:
        try:
            block: bytes = answer.read(BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise self._away(f"broke off ({error})") from error
        return block

    def _away(self, what: str) -> AwayError:
        return AwayError(f"MLflow at {self.shown} {what}")


def said(error: urllib.error.HTTPError) -> str:
    """Return what MLflow says of an error, "" if it says nothing that can be read."""
    try:
        return str(json.loads(error.read(10_000))["error_code"])
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return ""


def title_of(version: dict[str, Any]) -> str:
    """Return what people call a version."""
    return f"version {version['version']} of {version['name']}"


def described(version: dict[str, Any]) -> dict[str, Any]:
    """Return what the tags of a version say it must be. Raises RefusedError."""
    tags = {tag["key"]: tag["value"] for tag in version.get("tags", [])}
    found = {
        **{key: str(version.get(key) or "") for key in ("name", "version", "run_id", "source")},
        "date": tags.get("date", ""),
    }
    title = f"Version {found['version']} of {found['name']}"
    files = {tag.removeprefix(FILES): tags[tag] for tag in tags if tag.startswith(FILES)}
    code = {
        f"code/{tag.removeprefix(CODE_FILES)}": tags[tag]
        for tag in tags
        if tag.startswith(CODE_FILES)
    }
    if not files:
        raise RefusedError(
            f"{title} was not recorded by track, so nobody knows what its files must be: "
            "promote one that was"
        )
    if not set(CODE) <= code.keys():
        raise RefusedError(
            f"{title} was recorded without the code that transforms and predicts: train "
            "again with stages that publish code.zip, and promote that version"
        )
    for file in files:
        if file.startswith("/") or ".." in file.split("/"):
            raise RefusedError(f"{title} has a file {file!r}")
    if not found["source"].startswith("mlflow-artifacts:/"):
        raise RefusedError(
            f"{title} has its files at {found['source']!r}, not with MLflow's server: "
            "serve it by MLflow"
        )
    return {**found, "files": {**files, **{file: code[file] for file in CODE}}}
