"""Make raw tables numeric, the same way for training and for prediction, and split them."""

from fit import fit
from split import split
from stageframe import Parameter, Program, number, one_of, whole
from stageframe.tasks import CLASSIFICATION, TASKS
from transform import transform

program = Program("preprocess", __doc__)
program.verb(
    "fit",
    fit,
    "learn the columns from raw/<day>/, write the numeric table",
    Parameter(
        "task",
        one_of(*TASKS),
        CLASSIFICATION,
        f"what the target is: classes, or numbers ({' or '.join(TASKS)})",
    ),
    Parameter(
        "categorical",
        str,
        "",
        "names of columns, or target, whose numbers are but names; separated by commas",
        "NAMES",
    ),
    Parameter(
        "max-categories",
        whole(1, 65_535),
        255,
        "most categories of a column; rarer ones become missing",
    ),
)
program.verb(
    "split",
    split,
    "part processed/ into train.csv and val.csv",
    Parameter(
        "val-fraction",
        number(0.001, 0.999),
        0.2,
        "of the days, the newest; of one day, rows of each class",
    ),
    Parameter("seed", whole(), 17, "of the choice of rows"),
)
program.verb(
    "transform", transform, "make raw/<day>/data.csv numeric as model/preprocess.json says"
)

if __name__ == "__main__":
    program.main()
