"""Train scikit-learn's gradient boosting on the numeric table that preprocess wrote."""

from fit import fit
from stageframe import Parameter, Program, number, whole
from stageframe.losses import PARAMETERS
from stageframe.threshold import THRESHOLD

program = Program("train_sklearn", __doc__)
program.verb(
    "fit",
    fit,
    "train on split/train.csv",
    Parameter("seed", whole(), 17, "of every random choice"),
    Parameter("rounds", whole(1, 100_000), 100, "trees, or trees per class if more than two"),
    Parameter("learning-rate", number(1e-6, 1), 0.05, "weight of each tree"),
    Parameter("leaves", whole(2, 131_072), 15, "most leaves of a tree"),
    Parameter("leaf-rows", whole(1, 10**9), 50, "fewest rows of a leaf"),
    Parameter("l2", number(0, 1e9), 5.0, "weight of the penalty on large leaves"),
    Parameter("columns", number(1e-6, 1), 0.8, "share of the features that a split may use"),
    THRESHOLD,
    *PARAMETERS,
)

if __name__ == "__main__":
    program.main()
