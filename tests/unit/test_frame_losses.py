"""What a model of numbers keeps small: what may be asked for, and the constant beside it."""

from typing import Any

import numpy as np
import pytest
from stageframe import StageError
from stageframe.losses import (
    LOSSES,
    PARAMETERS,
    check_targets,
    describe_loss,
    losses_of_rows,
    require_classes,
    require_numbers,
)

DEFAULTS: dict[str, Any] = {p.name: p.default for p in PARAMETERS} | {"threshold": 0.5}
TARGETS = np.array([1.0, 2.0, 3.0, 4.0, 90.0])


@pytest.mark.parametrize(
    ("loss", "constant"), [("squared", 20), ("poisson", 20), ("absolute", 3), ("quantile", 90)]
)
def test_the_constant_is_the_one_with_the_least_loss(loss: str, constant: float) -> None:
    found = describe_loss({**DEFAULTS, "loss": loss, "quantile": 0.9}, TARGETS)

    assert ({"mean": 20, "constant": pytest.approx(constant)}, loss) == (
        found["baseline"],
        found["loss"],
    )


def test_a_quantile_is_said_where_it_is_one() -> None:
    found = {loss: describe_loss({**DEFAULTS, "loss": loss}, TARGETS) for loss in LOSSES}

    assert {"quantile"} == {loss for loss in LOSSES if "quantile" in found[loss]}
    assert 0.5 == found["quantile"]["quantile"]


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("squared", [4, 9]),
        ("absolute", [2, 3]),
        ("quantile", [0.9 * 2, 0.1 * 3]),
        ("poisson", [2 * (4 * np.log(4 / 2) - 2), 2 * 3]),
    ],
)
def test_the_loss_of_a_row_is_that_of_its_definition(loss: str, expected: list[float]) -> None:
    found = losses_of_rows(loss, np.array([4.0, 0.0]), np.array([2.0, 3.0]), 0.9)

    assert pytest.approx(expected) == found.tolist()


@pytest.mark.parametrize("loss", LOSSES)
def test_no_other_constant_has_less_loss(loss: str) -> None:
    constant = describe_loss({**DEFAULTS, "loss": loss, "quantile": 0.7}, TARGETS)["baseline"][
        "constant"
    ]
    others = [losses_of_rows(loss, TARGETS, value, 0.7).mean() for value in range(1, 95)]

    assert min(others) >= losses_of_rows(loss, TARGETS, constant, 0.7).mean() - 1e-9


def refusal(call: Any, *given: object) -> tuple[int, str]:
    with pytest.raises(StageError) as caught:
        call(*given)
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize("asked", [{"loss": "poisson"}, {"quantile": 0.9}])
def test_a_loss_of_numbers_is_refused_for_classes(asked: dict[str, Any]) -> None:
    require_classes(DEFAULTS)

    code, sentence = refusal(require_classes, DEFAULTS | asked)

    assert (64, True) == (code, sentence.startswith(f"--{min(asked)} is for numbers"))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"threshold": 0.3}, "--threshold 0.3 is for two classes"),
        ({"threshold": "f1"}, "--threshold f1 is for two classes"),
        ({"quantile": 0.9}, "--quantile 0.9 is for --loss quantile, not squared"),
        ({"quantile": 0.9, "loss": "absolute"}, "--quantile 0.9 is for --loss quantile, not abs"),
    ],
)
def test_what_means_nothing_for_numbers_is_refused(asked: dict[str, Any], sentence: str) -> None:
    require_numbers(DEFAULTS | {"loss": "quantile", "quantile": 0.9})

    code, said = refusal(require_numbers, DEFAULTS | asked)

    assert (64, True) == (code, said.startswith(sentence))


@pytest.mark.parametrize(
    ("loss", "targets", "sentence"),
    [
        ("squared", [5.0, 5.0], "all targets are 5: train on more rows"),
        ("poisson", [1.0, 0.0, -2.0], "row 3: the target is -2"),
    ],
)
def test_targets_of_which_nothing_can_be_learned_are_refused(
    loss: str, targets: list[float], sentence: str
) -> None:
    code, said = refusal(check_targets, loss, np.array(targets))

    assert (65, True) == (code, sentence in said)


@pytest.mark.parametrize("loss", LOSSES)
def test_counts_are_fit_for_every_loss(loss: str) -> None:
    check_targets(loss, np.array([0.0, 3.0]))
