"""The two models of a comparison, and what each has learned from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learned_rows import columns_of
from models import Model, load_model
from stageframe import IN, StageError, digest, read_json, shown
from stageframe.training import days_of


@dataclass(frozen=True)
class Candidate:
    """A model of a comparison, and what it has learned from."""

    model: Model
    columns: dict[str, dict[str, Any]]
    """Those of its preprocess.json, by name."""
    window: list[dict[str, Any]]
    """The days that it was made from, and their rows, in order."""
    learned: list[str]
    """The days of which it has learned from some rows at least."""
    rows: int
    sha256: str
    """Of the train.csv that it has learned from, with so many rows."""
    version: dict[str, Any]
    """Its version.json; empty if it has none."""

    @property
    def whole_days(self) -> bool:
        """Whether the rows that it has not learned from are whole days.

        They are not if they are of a single day, or if another rule than the time has chosen them.
        """
        return len(self.learned) < len(self.window)


def load_candidate(folder: Path, version: dict[str, Any] | None = None) -> Candidate:
    """Return the model of a folder, with what its files say that it has learned from."""
    model = load_model(folder)
    path = folder / "preprocess.json"
    prepared = read_json(path, "days", version=1)
    columns = {column["name"]: column for column in columns_of(model)}
    trained_on = model.spec.get("trained_on") or {}
    if not trained_on.keys() >= {"rows", "sha256"}:
        raise StageError(
            f"{shown(folder / 'model.json')}: trained_on has no rows and sha256: train again"
        )
    window, rows = prepared["days"], trained_on["rows"]
    learned = days_of(rows, window)
    if learned != trained_on.get("days", learned):
        # Its rows were chosen otherwise: which days they are of is not known.
        learned = [day["day"] for day in window]
    return Candidate(
        model, columns, window, learned, rows, trained_on["sha256"], version=version or {}
    )


def load_champion() -> Candidate | None:
    """Return the model in production, if there is one, sure that it is the version it claims."""
    folder = IN / "champion"
    if not folder.exists():
        return None
    path = folder / "version.json"
    version = read_json(path, "name", "version", "files", "raw")
    for name in ("model.txt", "model.json", "preprocess.json"):
        if digest(folder / name) != version["files"].get(name):
            raise StageError(
                f"{shown(folder / name)} is not that of {shown(path)}, version"
                f" {version['version']}: fetch the model again"
            )
    return load_candidate(folder, version)
