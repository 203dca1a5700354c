"""From which probability on the second of two classes is predicted."""

from pathlib import Path

import numpy as np
import pytest
from stageframe import WRONG_USAGE, Program, StageError, threshold
from stageframe.threshold import THRESHOLD, best_f1, best_share, choose_threshold

NAMES, CLASSES = ["p"], ["no", "yes"]


@pytest.fixture
def val(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where val.csv is; its one feature is what the model gives the row."""
    monkeypatch.setattr(threshold, "VALIDATION", tmp_path / "val.csv")
    (tmp_path / "val.csv").write_text("p,target\n0.1,no\n0.2,yes\n0.3,no\n0.4,yes\n0.7,yes\n")
    return tmp_path / "val.csv"


def chosen(asked: float | str, share: float = 0.5) -> float:
    return choose_threshold(asked, NAMES, CLASSES, share, lambda x: x[:, 0])


@pytest.mark.parametrize("text", ["0", "1", "-0.5", "1.5", "nan", "inf", "F1", "half", ""])
def test_what_is_no_threshold_is_wrong_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = Program("p", "")
    program.verb("fit", lambda threshold: {"threshold": threshold}, "", THRESHOLD)
    with pytest.raises(SystemExit) as ended:
        program.run(["fit", f"--threshold={text}"])

    assert WRONG_USAGE == ended.value.code
    assert "--threshold" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.usefixtures("val")
def test_a_number_is_what_is_asked_for() -> None:
    assert 0.21 == chosen(0.21)


@pytest.mark.usefixtures("val")
def test_f1_is_the_best_of_the_validation_rows() -> None:
    # Above 0.15 four rows are called, three of them rightly: 6 / 7, more than anywhere else.
    assert 0.15 == chosen("f1")


@pytest.mark.parametrize(("share", "expected"), [(0.2, 0.55), (0.4, 0.35), (0.55, 0.25), (0, 0.85)])
@pytest.mark.usefixtures("val")
def test_share_calls_as_many_as_training_had(share: float, expected: float) -> None:
    assert expected == chosen("share", share)


def test_no_other_threshold_has_a_better_f1() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        scores = random.random(40).round(int(random.integers(1, 4)))
        truth = random.random(40) < scores
        truth[0] = True
        found = best_f1(scores, truth)
        tried = [2 * (truth & (scores > t)).sum() / ((scores > t).sum() + truth.sum())
                 for t in [found, *np.linspace(0.0005, 0.9995, 2000)]]  # fmt: skip

        assert 0 < found < 1
        assert max(tried) == tried[0]


def test_of_equally_good_thresholds_it_is_the_one_nearest_to_a_half() -> None:
    # F1 is 2 / 3 above 0.15 and above 0.65, and less elsewhere.
    scores = np.array([0.1, 0.2, 0.3, 0.6, 0.7])
    truth = np.array([False, True, False, False, True])

    assert 0.65 == best_f1(scores, truth)


def test_scores_next_to_each_other_are_still_told_apart() -> None:
    low = 0.3
    high = float(np.nextafter(low, 1))
    found = best_f1(np.array([low, high]), np.array([False, True]))

    assert [False, True] == [low > found, high > found]


def test_scores_that_are_all_the_same_have_a_threshold() -> None:
    assert 0.2 == best_share(np.full(9, 0.4), 0.9)
    assert 0.7 == best_share(np.full(9, 0.4), 0.1)


@pytest.mark.parametrize("asked", [0.3, "f1", "share"])
def test_more_classes_than_two_have_no_threshold(asked: float | str) -> None:
    with pytest.raises(StageError, match="is for two classes, the target has 3") as caught:
        threshold.require_two_classes(asked, ["a", "b", "c"])

    assert WRONG_USAGE == caught.value.code


def test_the_default_is_there_for_any_number_of_classes() -> None:
    threshold.require_two_classes(0.5, ["a", "b", "c"])

    assert 0.5 == THRESHOLD.default


def test_f1_without_a_row_of_the_second_class_is_refused(val: Path) -> None:
    val.write_text("p,target\n0.1,no\n")

    with pytest.raises(StageError, match=r"val\.csv has no row of class 'yes'"):
        chosen("f1")


def test_validation_rows_that_are_not_there_are_told_before_training(val: Path) -> None:
    val.unlink()

    threshold.require_two_classes(0.3, CLASSES)
    with pytest.raises(FileNotFoundError):  # which the frame makes 66 of
        threshold.require_two_classes("f1", CLASSES)
