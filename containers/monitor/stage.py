"""Watch a model at work: how good its predictions were, and how far the data moved away."""

import math

from report import report
from stageframe import Parameter, Program, calendar_day, number, share

program = Program("monitor", __doc__, later=["page"])
program.verb(
    "report",
    report,
    "write report.html and quality.json of a day's predictions/<day>/, raw/<day>/ (target.csv if"
    " labels have come) and model/; earlier days that are there become the history",
    Parameter("date", calendar_day, None, "the day, by default the newest under predictions/"),
    Parameter(
        "min-auc", share, 0.55, "of classes: AUC below which the day is not ok; 0.5 is a coin's"
    ),
    Parameter(
        "min-skill",
        number(-math.inf, 1),
        0.0,
        "of predicted numbers: share of a constant's loss that the model saves, below which the day"
        " is not ok; 0 is the constant",
    ),
    Parameter(
        "max-coverage-error",
        share,
        0.1,
        "of predicted quantiles: difference of the share of targets below them from the quantile,"
        " above which the day is not ok, unless chance explains it",
    ),
    Parameter(
        "max-drift",
        number(0, math.inf),
        0.2,
        "population stability index above which a feature has drifted, unless chance explains it",
    ),
    Parameter("max-drifted", share, 0.5, "share of the features that may drift on an ok day"),
    Parameter(
        "max-gaps",
        share,
        0.1,
        "difference from training in the share of a feature's rows that are missing or unknown,"
        " above which the day is not ok if the model rests on it, unless chance explains it",
    ),
    Parameter(
        "ignore", str, "", "names of columns that are not judged; separated by commas", "NAMES"
    ),
    Parameter(
        "max-prediction-drift",
        number(0, math.inf),
        0.5,
        "the same index of the predicted probabilities or numbers, above which the day is not ok",
    ),
)

if __name__ == "__main__":
    program.main()
