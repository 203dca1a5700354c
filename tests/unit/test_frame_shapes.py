"""What the JSON files of the contract hold: whatever does not fit is told with its place."""

from pathlib import Path
from typing import Any

import pytest
from stageframe import StageError, files, read_json
from stageframe.shapes import DOCUMENTS, fault_of

NUMERIC = {"name": "a", "kind": "numeric"}


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("preprocess.json", {"columns": 3}, "columns is no list"),
        ("preprocess.json", {"columns": []}, "columns is empty"),
        ("preprocess.json", {"columns": [NUMERIC, 3]}, "columns[1] is no object"),
        ("preprocess.json", {"columns": [{"name": "a"}]}, "columns[0].kind is missing"),
        (
            "preprocess.json",
            {"columns": [{"name": "a", "kind": "odd"}]},
            "columns[0].kind is neither numeric nor categorical",
        ),
        (
            "preprocess.json",
            {"columns": [{"name": "a", "kind": "categorical"}]},
            "columns[0].categories is missing",
        ),
        (
            "preprocess.json",
            {"columns": [NUMERIC | {"profile": {"counts": [1, -1]}}]},
            "columns[0].profile.counts[1] is no number of rows",
        ),
        ("preprocess.json", {"columns": [NUMERIC] * 2}, "columns is a list that has a name twice"),
        ("preprocess.json", {"classes": ["a", "a"]}, "classes is a list that has a text twice"),
        ("preprocess.json", {"classes": ["a", 1]}, "classes[1] is not a text"),
        ("preprocess.json", {"days": [{"day": "x", "rows": True}]}, "days[0].rows is no number of"),
        ("preprocess.json", {"days": [{"day": "x", "rows": 2**41}]}, "days[0].rows is no number"),
        ("preprocess.json", {"target": {"mean": 10**400}}, "target.mean is no finite number"),
        ("model.json", {"format": ["lightgbm"]}, "format is not a text"),
        ("model.json", {"trained_on": {"rows": "7"}}, "trained_on.rows is no"),
        ("metrics.json", {"scores": {"counts": {"a": 3}}}, "scores.counts.a is no list"),
        ("version.json", {"files": {"model.txt": None}}, "files.model.txt is not a text"),
        ("manifest.json", {"outputs": {"x": {}}}, "outputs.x.sha256 is missing"),
        ("comparison.json", {"champion": []}, "champion is "),
        ("days.json", {"days": {"2013-01-06": "fit"}}, "days.2013-01-06 is no list"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(file: str, content: Any, fault: str) -> None:
    assert fault_of(content, DOCUMENTS[file]).startswith(fault)


@pytest.mark.parametrize("file", DOCUMENTS)
def test_what_is_absent_or_more_fits(file: str) -> None:
    assert "" == fault_of({"more": [{}]}, DOCUMENTS[file])


def test_a_file_of_the_contract_is_read_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "IN", tmp_path)
    path = tmp_path / "preprocess.json"
    path.write_text('{"version": 1, "days": [{"day": "x"}], "columns": [{}]}')

    with pytest.raises(StageError) as caught:
        read_json(path, "days", version=1)
    assert "preprocess.json: columns[0].name is missing: write it again" == str(caught.value)
    assert "x" == read_json(path.rename(tmp_path / "mine.json"), "days")["days"][0]["day"]
