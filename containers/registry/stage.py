"""Record models in MLflow, put them into production and out of it, and fetch the one in it."""

from fetch import fetch
from production import PREVIOUS, PRODUCTION
from promote import one_line, promote
from rollback import rollback
from stageframe import Parameter, Program, calendar_day
from track import track

NAME = Parameter("name", str, "microstage", "registered model")

program = Program(
    "registry",
    __doc__,
    "MLflow is found by MLFLOW_TRACKING_URI, MLFLOW_TRACKING_USERNAME and\n"
    "MLFLOW_TRACKING_PASSWORD in the environment.",
)
program.verb(
    "track",
    track,
    "record a model with all that made it, as a new version",
    NAME,
    Parameter("date", calendar_day, help="of the model: 2013-01-06"),
)
program.verb(
    "promote",
    promote,
    f"give a version the alias {PRODUCTION}, the one before {PREVIOUS}",
    NAME,
    Parameter(
        "approved-by",
        one_line,
        None,
        "who or what said yes: admin, or auto_promotion=better",
        "TEXT",
    ),
)
program.verb(
    "rollback", rollback, "take a version out of production, and the one before back in", NAME
)
program.verb("fetch", fetch, "write the files of the version in production", NAME)

if __name__ == "__main__":
    program.main()
