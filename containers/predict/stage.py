"""Score data with a trained model, and measure and compare models on data that is new to them."""

from compare import compare
from predict import predict
from stageframe import Parameter, Program, whole
from validate import validate

program = Program("predict", __doc__)
program.verb("predict", predict, "score features/data.csv")
program.verb("validate", validate, "measure the model on split/val.csv")
program.verb(
    "compare",
    compare,
    "measure challenger/ and champion/ on the same rows, new to both",
    Parameter(
        "resamples",
        whole(100, 100_000),
        1000,
        "times that the rows are drawn again, for the intervals",
    ),
    Parameter("seed", whole(), 17, "of these draws"),
)

if __name__ == "__main__":
    program.main()
