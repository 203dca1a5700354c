"""What is known of a directory, whatever is in it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from microstage.facets import Facts, columns_of, facts_of, header_of, quality_of, read_published

COLUMNS = [
    {"name": "carrier", "kind": "categorical", "categories": ["AA"], "profile": {"missing": 0}},
    {"name": "distance", "kind": "numeric", "profile": {"missing": 3}},
    {"name": "hour", "kind": "numeric"},
    "no column",
]


@pytest.fixture
def processed(tmp_path: Path) -> Path:
    """A directory as `preprocess` publishes it."""
    folder = tmp_path / "processed"
    folder.mkdir()
    (folder / "train_data.csv").write_text("carrier,distance,hour,target\n0,733,,1\n")
    (folder / "preprocess.json").write_text(json.dumps({"columns": COLUMNS}))
    (folder / "summary.json").write_text('{"rows": 9}')
    outputs = {name: {"size": 100} for name in ("train_data.csv", "preprocess.json")}
    (folder / "manifest.json").write_text(json.dumps({"outputs": outputs, "image_id": "sha256:1"}))
    return folder


def test_columns_rows_bytes_and_the_version_are_those_of_the_files(processed: Path) -> None:
    found = facts_of(processed, columns_of([processed]), whole=True)
    content = (processed / "manifest.json").read_bytes()

    assert (hashlib.sha256(content).hexdigest(), 9, 200, 2) == (
        found.version,
        found.rows,
        found.size,
        found.files,
    )
    assert [
        ("carrier", "categorical", 0),
        ("distance", "numeric", 3),
        ("hour", "numeric", None),
        ("target", None, None),
    ] == [(one.name, one.kind, one.missing) for one in found.columns]
    assert {"train_data.csv"} == {one.file for one in found.columns}
    assert (found.version, json.loads(content)) == read_published(processed)


def test_kinds_are_known_elsewhere_but_what_is_missing_is_of_its_own_table_alone(
    processed: Path, tmp_path: Path
) -> None:
    features = tmp_path / "features"
    features.mkdir()
    (features / "data.csv").write_text("distance\n1\n")
    found = facts_of(features, columns_of([features, processed]), whole=True)

    assert [("distance", "numeric", None)] == [
        (one.name, one.kind, one.missing) for one in found.columns
    ]
    assert (None, None, 11, 1) == (found.version, found.rows, found.size, found.files)
    assert () == facts_of(features, {}, whole=False).columns


def test_a_directory_that_is_not_there_is_told_without_anything(tmp_path: Path) -> None:
    assert Facts() == facts_of(tmp_path / "absent", {}, whole=True)
    assert {} == columns_of([tmp_path])
    assert quality_of(tmp_path) is None


@pytest.mark.parametrize("text", ["[]", "{", '{"rows": true}', '{"rows": -1}', '{"rows": "9"}'])
def test_what_is_no_number_of_rows_is_none(processed: Path, text: str) -> None:
    (processed / "summary.json").write_text(text)

    assert facts_of(processed, {}, whole=True).rows is None


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"a,b\n1,2\n", ["a", "b"]),
        (b"\xef\xbb\xbfa;b\r\n1;2\r\n", ["a", "b"]),
        (b"a\tb\n", ["a", "b"]),
        (b'"a, b",c', ["a, b", "c"]),
        (b"one\n", ["one"]),
        (b"", []),
        (b"\xff\xfe\n", []),
        (b'"a\n', []),
        (b"a\x1b[0m,b\n", []),
    ],
)
def test_a_header_is_read_in_any_dialect_or_not_at_all(
    tmp_path: Path, content: bytes, names: list[str]
) -> None:
    (tmp_path / "data.csv").write_bytes(content)

    assert names == header_of(tmp_path / "data.csv")


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ({"ok": False, "problems": ["The AUC is low."]}, (False, ["The AUC is low."])),
        ({"ok": True}, (True, [])),
        ({"ok": "yes"}, None),
    ],
)
def test_a_reports_verdict_is_known(tmp_path: Path, report: Any, expected: Any) -> None:
    (tmp_path / "quality.json").write_text(json.dumps(report))

    assert expected == quality_of(tmp_path)


def test_a_link_that_a_person_has_put_there_tells_no_size(tmp_path: Path) -> None:
    (tmp_path / "data.csv").symlink_to("/etc/passwd")

    assert Facts() == facts_of(tmp_path, {}, whole=True)
