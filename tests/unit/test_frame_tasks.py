"""What is predicted: preprocess.json and model.json say it, or mean classes."""

from pathlib import Path
from typing import Any

import pytest
from stageframe import StageError
from stageframe.tasks import is_regression


@pytest.mark.parametrize(
    ("spec", "numbers"),
    [
        ({"classes": ["0", "1"]}, False),
        ({"classes": ["0", "1"], "task": "classification"}, False),
        ({"task": "regression"}, True),
    ],
)
def test_classes_are_predicted_unless_it_says_numbers(spec: dict[str, Any], numbers: bool) -> None:
    assert numbers == is_regression(Path("model.json"), spec)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"task": "ranking"}, "model.json: task 'ranking' is none of classification, regression"),
        ({"task": None}, "model.json: task None is none of"),
        ({}, "model.json is no object with classes"),
    ],
)
def test_another_task_and_classes_without_names_are_refused(
    spec: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StageError) as caught:
        is_regression(Path("model.json"), spec)

    assert (65, True) == (caught.value.code, str(caught.value).startswith(sentence))
