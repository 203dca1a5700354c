"""Make a day of flowers of three kinds, told apart by their petals: a table with three classes."""

import csv
import random
from datetime import date
from typing import Any

from stageframe import OUT, Parameter, Program, calendar_day, whole

KINDS = {"setosa": (1.5, 0.3), "versicolor": (4.3, 1.3), "virginica": (5.6, 2.0)}
COLOURS = ("white", "blue", "violet")


def generate(date: date, rows: int) -> dict[str, Any]:
    """Write data.csv and target.csv; return the summary."""
    draw = random.Random(str(date))  # noqa: S311 - flowers are no secret
    with (
        (OUT / "data.csv").open("w", encoding="utf-8", newline="") as data,
        (OUT / "target.csv").open("w", encoding="utf-8", newline="") as target,
    ):
        flowers, kinds = (
            csv.writer(data, lineterminator="\n"),
            csv.writer(target, lineterminator="\n"),
        )
        flowers.writerow(["petal_length", "petal_width", "colour"])
        kinds.writerow(["target"])
        for _ in range(rows):
            kind = draw.choice(list(KINDS))
            length, width = KINDS[kind]
            flower = [f"{draw.gauss(length, 0.8):.2f}", f"{draw.gauss(width, 0.4):.2f}"]
            flowers.writerow([*flower, draw.choice(COLOURS)])
            kinds.writerow([kind])
    return {"date": str(date), "rows": rows}


program = Program("species", __doc__)
program.verb(
    "generate",
    generate,
    "write data.csv, target.csv",
    Parameter("date", calendar_day, help="the day"),
    Parameter("rows", whole(3), 300, "flowers"),
)
if __name__ == "__main__":
    program.main()
