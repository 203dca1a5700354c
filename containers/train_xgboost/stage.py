"""Train an XGBoost model on the numeric table that preprocess wrote."""

from fit import fit
from stageframe import Parameter, Program, number, whole
from stageframe.losses import PARAMETERS
from stageframe.threshold import THRESHOLD

program = Program("train_xgboost", __doc__)
program.verb(
    "fit",
    fit,
    "train on split/train.csv",
    Parameter("seed", whole(), 17, "of every random choice"),
    Parameter("rounds", whole(1, 100_000), 100, "trees, or trees per class if more than two"),
    Parameter("learning-rate", number(1e-6, 1), 0.05, "weight of each tree"),
    Parameter("depth", whole(1, 64), 4, "most splits on the way to a leaf"),
    Parameter("leaf-weight", number(0, 1e9), 10.0, "least sum of second derivatives in a leaf"),
    Parameter("l2", number(0, 1e9), 5.0, "weight of the penalty on large leaves"),
    Parameter("columns", number(1e-6, 1), 0.8, "share of the features that a tree may use"),
    Parameter("rows", number(1e-6, 1), 0.8, "share of the rows that a tree sees"),
    THRESHOLD,
    *PARAMETERS,
)

if __name__ == "__main__":
    program.main()
