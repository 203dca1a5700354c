"""How a stage has ended, and what that means. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from microstage.errors import MEANING, TRY_AGAIN, OutOfMemoryError, StageError, StageExitError
from microstage.table import Row

KILLED, TERMINATED = 128 + 9, 128 + 15  # as shells count what a signal ended


@dataclass(frozen=True)
class Exit:
    """How a stage ended, whatever it ran in."""

    code: int
    last_line: str = ""  # the last non-blank line on stderr
    out_of_memory: bool = False
    timed_out: bool = False
    # What it used, where that is known: see microstage.engines.usage.
    used: dict[str, Any] = field(default_factory=dict, compare=False)


def failure(row: Row, ended: Exit) -> StageError | None:
    """Say what the way a stage ended means; None when it succeeded."""
    if ended.timed_out:
        return StageError(
            TRY_AGAIN,
            f"{row.stage} was stopped after {row.limits.timeout} s, its time limit; "
            f"give it more in {row.where}, limits.timeout.",
        )
    if ended.out_of_memory:
        key = "memory_max" if row.limits.memory_max else "memory"
        return OutOfMemoryError(
            f"{row.stage} needed more memory than its limit of {row.limits.memory // 2**20} MiB; "
            f"give it more in {row.where}, limits.{key}."
        )
    if ended.code == 0:
        return None
    line = ended.last_line or "it said nothing on stderr"
    meaning = MEANING.get(ended.code, "an error")
    if ended.code in (KILLED, TERMINATED):
        meaning = "somebody or something killed it"
    code = ended.code if ended.code in MEANING else 1
    return StageExitError(code, f"{row.stage}: {line} (exit code {ended.code}, {meaning})")
