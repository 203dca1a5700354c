"""Rows for images whose work wants parameters that no row of the table has."""

from __future__ import annotations

import tomllib

from support import REPOSITORY


def with_examples(table: str) -> str:
    """Return a table with the rows of containers/*/example.toml, unless it has them."""
    for file in sorted(REPOSITORY.glob("containers/*/example.toml")):
        example = file.read_text(encoding="utf-8")
        if not tomllib.loads(example)["stages"].keys() & tomllib.loads(table)["stages"].keys():
            table += f"\n{example}"
    return table
