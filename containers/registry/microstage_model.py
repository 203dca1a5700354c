"""A model of Microstage as MLflow's `python_function`: rows of data.csv in, predictions.csv out.

This file goes with every version that can be loaded so, as its `loader_module`. Beside it are the
sources of the stages that prepare and predict, as these have published them: no copy of what they
do, but the code that does it.
https://mlflow.org/docs/latest/api_reference/python_api/mlflow.pyfunc.html
"""

import importlib
import sys
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

_importing = threading.Lock()


class Stages:
    """The code of the stages that prepare and predict, with the model that they are of."""

    def __init__(self, folder: Path) -> None:
        """Load the files of a version; whatever is wrong with them is one of `faults`."""
        transform, predict = (
            import_apart(folder / "code" / f"{name}.zip") for name in ("transform", "predict")
        )
        self.faults: tuple[type[Exception], ...] = (transform.StageError, predict.StageError)
        """What is raised for a column that is missing, or holds what is no number, in words."""
        self._transform, self.names = transform.load(folder)
        self._predict = predict.load(folder, self.names)

    def predict(self, table: pd.DataFrame) -> Mapping[str, Sequence[Any]]:
        """Return the columns of predictions.csv for rows with the columns of data.csv."""
        columns: Mapping[str, Sequence[Any]] = self._predict(self._transform(table))
        return columns


class Model:
    """The same, as MLflow calls it."""

    def __init__(self, folder: Path) -> None:
        """Load the files of a version."""
        self._stages = Stages(folder)

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002 - MLflow's way to call it
        """Return the columns of predictions.csv for rows with the columns of data.csv.

        Raises MlflowException where a column is missing, or holds what is no number.
        """
        try:
            return pd.DataFrame(self._stages.predict(pd.DataFrame(model_input)))
        except self._stages.faults as error:
            # Not at the top: a server that is not MLflow's does without.
            from mlflow.exceptions import MlflowException  # noqa: PLC0415

            raise MlflowException.invalid_parameter_value(str(error)) from error


def import_apart(archive: Path) -> ModuleType:
    """Return the module `pyfunc` of an archive, and leave no name of its modules behind.

    A notebook may have models, tasks and the like, too.
    """
    with zipfile.ZipFile(archive) as file:
        own = {name.partition("/")[0].removesuffix(".py") for name in file.namelist()}
    with _importing:
        others = taken(own)
        sys.path.insert(0, str(archive))
        try:
            return importlib.import_module("pyfunc")
        finally:
            sys.path.remove(str(archive))
            taken(own)
            sys.modules.update(others)


def taken(names: set[str]) -> dict[str, ModuleType]:
    """Take modules of these names, and those below them, out of those that are imported."""
    found = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in found}


def _load_pyfunc(path: str) -> Model:
    """Load a version, for MLflow."""
    return Model(Path(path))
