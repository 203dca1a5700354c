"""The lookup tables that generate writes numbers with, against Python's own formatting."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "containers" / "generate"
VALUES = [0, 0.0512, -0.5, 0.99996, -0.00004, 1.05, 12.3456, -12.0005, 250, 9999, -9999]


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("cells")


def test_numbers_are_written_as_python_writes_them(cells: ModuleType) -> None:
    rows = len(VALUES)
    codes = [np.zeros(rows, np.intp)] * 4
    written = cells.csv_rows(np.tile(np.array(VALUES, float), (16, 1)), codes, {}).decode()
    expected = [
        # z: a rounded -0.00004 is 0.0000, without a sign.
        ",".join([f"{value:z.{decimals}f}" for decimals in cells.DECIMALS]) + ",red,north,oak,S00"
        for value in VALUES
    ]

    assert expected == written.removeprefix("\n").split("\n")


def test_a_missing_value_is_an_empty_cell(cells: ModuleType) -> None:
    gaps = {name: np.array([True, False]) for name in cells.NAMES}
    codes = [np.full(2, len(levels) - 1) for levels in cells.LEVELS.values()]
    written = cells.csv_rows(np.ones((16, 2)), codes, gaps).decode()
    lines = written.removeprefix("\n").split("\n")

    assert "," * 19 == lines[0]
    assert "blue,west,jute,S39" == lines[1].split(",", 16)[16]
