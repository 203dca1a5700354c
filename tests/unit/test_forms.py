"""The fields of forms are the parameters that images take: the shipped ones, and whoever's."""

import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

from microstage import forms
from microstage.errors import StageError
from microstage.forms import chosen, declared, fields
from microstage.pipelines import Pipeline, load_pipeline

CONTAINERS = Path(__file__).resolve().parents[2] / "containers"
TRAINERS = sorted(
    path.parent.name
    for path in CONTAINERS.glob("*/Dockerfile")
    if 'work="train-model"' in path.read_text("utf-8")
)


@pytest.fixture
def taken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What an image takes, by its own stage.py: parameter -> argparse's action."""
    work: Any = ModuleType("fit")
    work.fit = None
    monkeypatch.setitem(sys.modules, "fit", work)
    program = runpy.run_path(str(CONTAINERS / request.param / "stage.py"))["program"]
    actions = program._verbs.choices["fit"]._actions
    return {action.option_strings[0][2:]: action for action in actions if action.dest != "help"}


def refuses(action: Any, text: object) -> bool:
    try:
        action.type(str(text))
    except Exception:
        return True
    return False


@pytest.mark.parametrize(("image", "taken"), [(t, t) for t in TRAINERS], indirect=["taken"])
def test_the_fields_of_a_trainer_are_what_it_takes(image: str, taken: dict[str, Any]) -> None:
    known = declared()[image]["fit"]

    assert taken.keys() == known.keys()
    for name, said in known.items():
        action = taken[name]
        assert str(action.default) == str(said["default"])
        assert said["description"] in action.help
        assert type(action.type(str(said["default"]))) in (*forms.TYPES[said["type"]], float)
        for bound, beyond in (("minimum", -1), ("maximum", 1)):
            if bound in said:
                step = beyond * (1 if said["type"] == "integer" else 1e-7)
                assert not refuses(action, said[bound])
                assert refuses(action, said[bound] + step)
        assert {"minimum", "maximum", "enum", "pattern"} & said.keys()
        assert not any(refuses(action, one) for one in said.get("enum", ()))
        for text in ("f1", "share", "0.5", ".25", "0.999", "0", "1", "0.0", "1.5", "f2", ""):
            if "pattern" in said:
                assert refuses(action, text) == (re.search(said["pattern"], text) is None)


def swapped(image: str, **params: Any) -> Pipeline:
    pipeline = load_pipeline()
    row = pipeline.rows["train"]
    row = replace(row, image=image, params={**row.params, **params})
    return replace(pipeline, rows={**pipeline.rows, "train": row})


@pytest.mark.parametrize(
    "image",
    [
        "microstage/train_xgboost:1.0.0",
        "microstage/train_xgboost:1.0.0@sha256:" + "0" * 64,
        "registry.example.org:5000/ours/train_xgboost@sha256:" + "0" * 64,
        "train_xgboost",
    ],
)
def test_a_trainer_that_was_swapped_in_has_its_own_fields(image: str) -> None:
    found = fields(swapped(image), "train")

    assert {f"train.{name}" for name in declared()["train_xgboost"]["fit"]} == found.keys()


def test_an_image_that_nobody_has_declared_has_none() -> None:
    assert {} == fields(swapped("ours/my_train:1"), "train")
    assert {} == fields(load_pipeline(), "nowhere")


def test_a_field_is_typed_and_bounded_says_what_counts_now_and_is_empty() -> None:
    rounds = fields(swapped("microstage/train:1.0.0", rounds=400), "train")["train.rounds"]
    loss = fields(load_pipeline(), "train")["train.loss"]

    assert rounds.resolve() is None
    assert 7 == rounds.resolve(7)
    assert "(400)" in str(rounds.description)
    assert [None, "squared", "absolute", "poisson", "quantile"] == loss.schema["enum"]
    for wrong in (0, 100_001, 1.5, "many"):
        with pytest.raises(ParamValidationError):
            rounds.resolve(wrong)


def test_what_a_form_says_is_told_to_the_stage_and_what_it_leaves_empty_is_not() -> None:
    params = {"window": 3, "train.rounds": 7, "train.learning-rate": None, "trainer.x": 1}
    context: Any = {"params": params}

    assert {"rounds": 7} == chosen("train")(context)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[train", "forms.toml cannot be read"),
        ("train = 3", r"train: it must hold \[train.VERB\] tables"),
        ("[train]\nfit = 3", r"train: it must hold \[train.VERB\] tables"),
        ('[train.fit]\nrounds = "x"', "train.fit, rounds: its type must be one of integer"),
        ('[train.fit]\nrounds = { type = "int" }', "its type must be one of integer"),
        ('[train.fit]\nrounds = { type = "integer", minimum = "1" }', "minimum = '1' says nothing"),
        ('[train.fit]\nrounds = { type = "integer", default = 1.5 }', "default = 1.5 says nothing"),
        ('[train.fit]\nrounds = { type = "integer", least = 1 }', "least = 1 says nothing"),
        ('[train.fit]\nrounds = { type = "string", pattern = "(" }', "its pattern is none"),
    ],
)
def test_a_file_that_is_broken_is_told_and_takes_no_dag_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    file = tmp_path / "forms.toml"
    file.write_text(text)

    with pytest.raises(StageError, match=sentence):
        declared(file)
    monkeypatch.setattr(forms.declared, "__defaults__", (file,))
    assert {} == fields(load_pipeline(), "train")
    file.unlink()
    assert {} == declared(file)
