"""The running MLflow, over its REST API (https://mlflow.org/docs/latest/rest-api.html)."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support import REPOSITORY
from support.command import UNAVAILABLE
from support.settings import setting

from microstage.errors import StageError

RECORDED = "tags.`microstage.key` != ''"  # of all that stages have recorded


class MLflow:
    """A client that is MLflow's admin."""

    def __init__(self, root: Path = REPOSITORY) -> None:
        """Be that of the installation in `root`."""
        self.url = f"http://localhost:{setting('MLFLOW_PORT', root)}"
        word = f"admin:{setting('MLFLOW_ADMIN_PASSWORD', root)}".encode()
        self._headers = {
            "Authorization": f"Basic {base64.b64encode(word).decode()}",
            "Content-Type": "application/json",
        }
        # Straight to this machine, whatever proxy the environment names.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, method: str, path: str, **fields: object) -> dict[str, Any]:
        """Return the answer to one call. Raises StageError (69) where there is none."""
        query = f"?{urllib.parse.urlencode(fields)}" if method == "GET" else ""
        body = None if method == "GET" else json.dumps(fields).encode()
        request = urllib.request.Request(  # noqa: S310 - always http://localhost
            f"{self.url}/api/2.0/mlflow/{path}{query}", body, self._headers, method=method
        )
        try:
            with self._opener.open(request, timeout=60) as answer:
                found: dict[str, Any] = json.load(answer)
        except (OSError, ValueError) as error:
            raise StageError(
                UNAVAILABLE,
                f"MLflow does not answer at {self.url} ({error}); "
                "start it with: docker compose up --wait",
            ) from None
        return found

    def pages(self, method: str, path: str, key: str, **fields: object) -> Iterator[dict[str, Any]]:
        """Yield all that a search finds."""
        token: dict[str, str] = {}
        while True:
            page = self.call(method, path, max_results=100, **fields, **token)
            yield from page.get(key, [])
            if not page.get("next_page_token"):
                return
            token = {"page_token": page["next_page_token"]}

    def aliases(self) -> dict[str, dict[str, str]]:
        """Return the versions of each model that have an alias, by that."""
        models = self.pages("GET", "registered-models/search", "registered_models")
        return {
            model["name"]: {each["alias"]: each["version"] for each in model.get("aliases", [])}
            for model in models
        }

    def old_runs(self, days: int) -> Iterator[str]:
        """Yield the runs that stages began so long ago, and of which no version was made.

        As EXPERIMENT/RUN; also those that somebody has deleted in the UI, where they are hidden.
        """
        versions = self.pages("GET", "model-versions/search", "model_versions")
        made = {version["run_id"] for version in versions}
        before = (time.time() - days * 86400) * 1000
        search = self.pages("POST", "experiments/search", "experiments", view_type="ALL")
        for experiment in search:
            query = {"experiment_ids": [experiment["experiment_id"]], "filter": RECORDED}
            for run in self.pages("POST", "runs/search", "runs", run_view_type="ALL", **query):
                info = run["info"]
                if info["start_time"] < before and info["run_id"] not in made:
                    yield f"{info['experiment_id']}/{info['run_id']}"

    def delete(self, run: str) -> list[str]:
        """Hide a run and its logged models, as gc wants it, and return these: EXPERIMENT/models/ID.

        What is hidden stays so.
        """
        self.call("POST", "runs/delete", run_id=run.rpartition("/")[2])
        models = self.models_of(run)
        for model in models:
            self.call("DELETE", f"logged-models/{model.rpartition('/')[2]}")
        return models

    def models_of(self, run: str) -> list[str]:
        """Return the logged models of a run likewise."""
        experiment, _, run_id = run.partition("/")
        query = {"experiment_ids": [experiment], "filter": f"source_run_id = '{run_id}'"}
        found = self.pages("POST", "logged-models/search", "models", **query)
        return [f"{experiment}/models/{model['info']['model_id']}" for model in found]
