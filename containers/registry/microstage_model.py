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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException

_importing = threading.Lock()


class Model:
    """A model, with what makes raw rows numeric for it."""

    def __init__(self, folder: Path) -> None:
        """Load the files of a version."""
        stages = [
            import_apart(folder / "code" / f"{name}.zip") for name in ("transform", "predict")
        ]
        self._faults = tuple(stage.StageError for stage in stages)
        transform, predict = stages
        with self._told():
            self._transform, names = transform.load(folder)
            self._predict = predict.load(folder, names)

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002 - MLflow's way to call it
        """Return the columns of predictions.csv for rows with the columns of data.csv.

        Raises MlflowException where a column is missing, or holds what is no number.
        """
        with self._told():
            return pd.DataFrame(self._predict(self._transform(pd.DataFrame(model_input))))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._faults as error:
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
