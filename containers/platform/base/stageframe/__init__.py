"""The frame of a stage: what all stages in Python have in common, so that a stage is its verbs.

A program of the stage contract (docs/contract.md) is a `Program` with verbs, each of which is a
function: it gets the parameters of the command line by name, reads below IN, writes below OUT and
returns the summary. The frame has the rest: usage and `--help`, exit codes, one sentence for each
failure, the end on SIGTERM, summary.json.

    from stageframe import Parameter, Program, whole

    program = Program("train", __doc__)
    program.verb("fit", fit, "train on split/train.csv", Parameter("seed", whole(0), 17, "of it"))
    program.main()

The standard library alone, for Python 3.11 and newer. Beside it, by name: `stageframe.values` and
`stageframe.csv_files`, what fields mean and tables of texts; and for those that have NumPy,
`stageframe.tables` of numbers, and `stageframe.training`, what trainers share. No image needs the
frame: a stage is what keeps the contract, in any language.
"""

from stageframe.command import (
    Parameter,
    Program,
    calendar_day,
    number,
    one_of,
    share,
    whole,
)
from stageframe.errors import BAD_DATA, INPUT_MISSING, TRY_AGAIN, WRONG_USAGE, StageError
from stageframe.files import IN, OUT, digest, find_days, read_json, shown, write_json

__all__ = [
    "BAD_DATA",
    "IN",
    "INPUT_MISSING",
    "OUT",
    "TRY_AGAIN",
    "WRONG_USAGE",
    "Parameter",
    "Program",
    "StageError",
    "calendar_day",
    "digest",
    "find_days",
    "number",
    "one_of",
    "read_json",
    "share",
    "shown",
    "whole",
    "write_json",
]
