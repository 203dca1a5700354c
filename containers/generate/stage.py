"""Write one day of synthetic data for a binary classification.

16 numeric columns (4, 2 or 0 decimals) and 4 of text, some values missing; the target is 1 in
three rows out of ten, and noisy: the best possible ROC AUC is about 0.84. The seed makes the world
(centres, spreads, effects on the target), seed and date together make the rows. From day to day
distributions and effects move along waves of one to three years, which --drift scales; at 0 all
days are alike.
"""

from generate import generate
from stageframe import Parameter, Program, calendar_day, number, whole

program = Program("generate", __doc__)
program.verb(
    "generate",
    generate,
    "write data.csv and target.csv",
    Parameter("date", calendar_day, help="the day, such as 2013-01-06"),
    Parameter("rows", whole(1, 10**9), 10_000, "of the day"),
    Parameter("drift", number(0, 10), 1.0, "how far the waves reach"),
    Parameter("seed", whole(), 17, "of the world, and of the rows"),
)

if __name__ == "__main__":
    program.main()
