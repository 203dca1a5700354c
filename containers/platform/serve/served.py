"""A version, ready to predict: whole, with libraries as it asks for, tried with a row of gaps."""

import importlib.metadata
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
from faults import AnswerError, RefusedError
from microstage_model import Stages
from packaging.requirements import Requirement
from tables import Columns

CODE = ("code/transform.zip", "code/predict.zip")
NUMBERS = {int, float, type(None)}


class Served:
    """A version of a model."""

    def __init__(self, folder: Path, told: dict[str, Any]) -> None:
        """Load it from a folder with its files, and try it. Raises RefusedError.

        told: version.json.
        """
        self.told = told
        self._title = f"Version {told['version']} of {told['name']}"
        require_libraries(folder, self._title)
        try:
            self._stages = Stages(folder)
            columns = json.loads((folder / "preprocess.json").read_bytes())["columns"]
            self._numeric = {c["name"] for c in columns if c["kind"] == "numeric"}
            self._names = set(self._stages.names)
            self._columns({name: [None] for name in self._stages.names})
        except ModuleNotFoundError as error:
            raise RefusedError(
                f"{self._title} needs the module {error.name}, which this image does not have: "
                "serve it by MLflow"
            ) from error
        except Exception as error:  # whatever a version's code has to say
            raise RefusedError(f"{self._title} cannot be loaded: {error}") from error

    def answers(self, tables: Sequence[Columns]) -> list[bytes | AnswerError]:
        """Return the answer to each of several requests.

        A row's prediction depends on no other row: so those with the columns of the model alone
        are predicted at once, which takes little longer than one of them.
        """
        alike = [i for i, table in enumerate(tables) if table.keys() == self._names]
        if len(alike) > 1:
            chosen = [tables[i] for i in alike]
            joined: Columns = {
                name: [v for t in chosen for v in t[name]] for name in self._stages.names
            }
            try:
                records = self._records(joined)
            except Exception:  # one of them is at fault: each is asked by itself
                alike = []
            else:
                found = dict(zip(alike, parts(records, chosen), strict=True))
                return [
                    body_of(found[i]) if i in found else self._answer(table)
                    for i, table in enumerate(tables)
                ]
        return [self._answer(table) for table in tables]

    def _answer(self, table: Columns) -> bytes | AnswerError:
        try:
            return body_of(self._records(table))
        except self._stages.faults as error:
            return AnswerError(400, f"{error}")
        except Exception as error:  # of the version's code; the server goes on
            return AnswerError(500, f"{self._title} failed: {type(error).__name__}: {error}")

    def _records(self, table: Columns) -> list[dict[str, Any]]:
        names, values = zip(*self._columns(table).items(), strict=True)
        return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]

    def _columns(self, table: Columns) -> Any:
        frame = pd.DataFrame({name: self._typed(name, table[name]) for name in table})
        return self._stages.predict(frame)

    def _typed(self, name: str, values: Sequence[Any]) -> Any:
        """Return a column: numbers where it is one of numbers, anything else as it was sent."""
        if name in self._numeric and NUMBERS.issuperset(map(type, values)):
            return np.array(values, float)
        found = np.empty(len(values), object)  # as texts, or as a number that is but a name
        found[:] = values
        return found


def body_of(records: list[dict[str, Any]]) -> bytes:
    """Return predictions as MLflow's server has them."""
    return orjson.dumps({"predictions": records})


def parts(rows: list[Any], tables: Sequence[Columns]) -> Iterator[list[Any]]:
    """Yield the rows of each of the tables."""
    start = 0
    for table in tables:
        stop = start + len(next(iter(table.values())))
        yield rows[start:stop]
        start = stop


def require_libraries(folder: Path, title: str) -> None:
    """Raise RefusedError unless what is here of a version's requirements is what it asks for.

    What is not here is told when its code asks for it.
    """
    for file in CODE:
        with zipfile.ZipFile(folder / file) as archive:
            lines = archive.read("requirements.txt").decode().splitlines()
        for wanted in map(Requirement, lines):
            if wanted.marker and not wanted.marker.evaluate():
                continue
            try:
                here = importlib.metadata.version(wanted.name)
            except importlib.metadata.PackageNotFoundError:
                continue
            if not wanted.specifier.contains(here, prereleases=True):
                raise RefusedError(
                    f"{title} needs {wanted.name}{wanted.specifier}, this image has {here}: build "
                    "the image of the release that the version was trained with, or train again"
                )
