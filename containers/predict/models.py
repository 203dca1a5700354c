"""Trained models, whatever trained them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import treelite
import whole_lightgbm
import whole_treelite
import whole_xgboost
from losses import Loss
from outputs import Output, output_of
from stageframe import StageError, read_json, shown
from stageframe.losses import read_loss
from stageframe.tables import read_table
from stageframe.tasks import is_regression
from trees import Trees, compile_trees

T = TypeVar("T")
MANY = 2000  # rows, from which on tables are made and looked up sooner than treelite scores

# How model.txt is read, by the format that model.json names. None of them can run code.
LOADERS: dict[str, Callable[[Path, bytes], treelite.Model]] = {
    "lightgbm": whole_lightgbm.load,
    "xgboost_json": whole_xgboost.load,
    "treelite": whole_treelite.load,
}


@dataclass(frozen=True)
class Model:
    """A trained model, and what its model.json says of it."""

    path: Path
    """Its model.txt."""
    trees: treelite.Model
    lightgbm: bool
    """Whether LightGBM wrote it."""
    features: list[str]
    classes: list[str]
    """Those that are predicted; none where numbers are."""
    spec: dict[str, Any]
    threshold: float | None = None
    """Above which probability the second of two classes is predicted; None: the likeliest is."""
    loss: Loss | None = None
    """What a model of numbers keeps small; None: it is of classes."""

    @cached_property
    def tables(self) -> Trees | None:
        """Its trees, to score many rows; None: treelite alone can score them."""
        return compile_trees(self.trees)

    @cached_property
    def output(self) -> Output | None:
        """What becomes of raw scores; None: treelite alone knows."""
        field = self.trees.get_header_accessor().get_field
        slope = float(np.float32(field("sigmoid_alpha")[0]))
        return output_of(str(field("postprocessor")), slope, lightgbm=self.lightgbm)

    @property
    def outputs(self) -> int:
        """How many numbers it gives for a row: a probability of each class, or one."""
        return len(self.classes) or 1


def load_model(folder: Path) -> Model:
    """Return the model of a folder. Raises StageError where its files do not fit together."""
    path = folder / "model.json"
    spec = read_json(path, "format", "features", version=1)
    numbers = is_regression(path, spec)
    if spec["format"] not in LOADERS:
        raise StageError(
            f"{shown(path)}: format {spec['format']!r} is none of {', '.join(LOADERS)}:"
            " train in one of these"
        )
    path = path.with_name("model.txt")
    trees = load_trees(path, spec["format"])
    if trees.num_feature != len(spec["features"]):
        raise StageError(
            f"{shown(path)} wants {trees.num_feature} features, model.json names"
            f" {len(spec['features'])}: train again"
        )
    lightgbm = spec["format"] == "lightgbm"
    said = folder / "model.json"
    if numbers:
        loss = Loss(*read_loss(said, spec))
        return Model(path, trees, lightgbm, spec["features"], [], spec, loss=loss)
    threshold = threshold_of(said, spec)
    return Model(path, trees, lightgbm, spec["features"], spec["classes"], spec, threshold)


def read_rows(
    model: Model, path: Path, work: Callable[[np.ndarray], T]
) -> Iterator[tuple[T, np.ndarray]]:
    """Yield what `work` makes of features, float64 (rows, features), and targets, (rows,).

    A table and `work` are as read_table has them; targets are codes of classes, or numbers.
    """
    rows, loss = 0, model.loss
    for made, y in read_table(
        path,
        model.features,
        model.classes,
        numbers=loss is not None,
        convert=lambda x, _before: work(x),
    ):
        if loss:
            loss.check_targets(path, rows, y)
        yield made, y
        rows += len(y)


def threshold_of(path: Path, spec: dict[str, Any]) -> float | None:
    """Return the threshold that model.json has, None if it has none; or raise StageError."""
    threshold = spec.get("threshold")
    if threshold is None:
        return None
    is_number = isinstance(threshold, int | float)
    if is_number and 0 < threshold < 1 and len(spec["classes"]) == 2:
        return float(threshold)
    raise StageError(
        f"{shown(path)}: threshold {threshold!r} is no number between 0 and 1 for two classes:"
        " train again"
    )


def load_trees(path: Path, form: str) -> treelite.Model:
    """Return what a model.txt of this format holds. Raises StageError if it is not whole."""
    try:
        return LOADERS[form](path, path.read_bytes())
    except whole_lightgbm.ZerosForGapsError as error:
        raise StageError(
            f"{shown(path)} takes zeros for gaps, which treelite does not know: train without"
            " zero_as_missing"
        ) from error
    except ValueError as error:
        what = f"is no whole {form} model ({error})"
        raise StageError(f"{shown(path)} {what}: train again") from error
    except treelite.TreeliteError as error:
        raise StageError(f"{shown(path)} is no whole {form} model: train again") from error


def score(model: Model, x: np.ndarray) -> np.ndarray:
    """Return probabilities, float64 (rows, classes), or the numbers that are predicted, (rows, 1).

    x: float64 (rows, features), NaN = missing. They are the trainer's own, bit for bit: LightGBM's,
    XGBoost's, and those of scikit-learn's histogram gradient boosting.
    """
    scores = raw_outputs(model, x).astype(float)
    if not np.isfinite(scores).all():
        raise StageError(f"{shown(model.path)} predicts what is no finite number: train again")
    if scores.shape[1] == 1 and not model.loss:
        scores = np.hstack([1 - scores, scores])
    if scores.shape[1] != model.outputs:
        named = "a number" if model.loss else len(model.classes)
        raise StageError(
            f"{shown(model.path)} scores {scores.shape[1]} classes, model.json names {named}: train"
            " again"
        )
    return scores


def raw_outputs(model: Model, x: np.ndarray) -> np.ndarray:
    """Return the outputs of the trees, (rows, outputs); x: as in `score`."""
    own = model.output
    if own and len(x) >= MANY and model.tables:
        return own(model.tables.scores(x))
    # treelite's softmax is of single precision.
    own = own if model.trees.output_type == "float64" else None
    raw: np.ndarray = treelite.gtil.predict(model.trees, x, pred_margin=own is not None)[:, 0, :]
    return own(raw) if own else raw


def decide(scores: np.ndarray, threshold: float | None) -> np.ndarray:
    """Return the codes of the classes that are predicted, int (rows,).

    scores: probabilities (rows, classes); threshold: that of the model.
    """
    codes: np.ndarray = scores.argmax(axis=1)
    if threshold is not None:
        codes = (scores[:, 1] > threshold).astype(int)
    return codes
