"""transform codes new data as the model's own data was."""

import json
from collections.abc import Mapping

from harness import Result, RunStage

MODEL = {
    "preprocess.json": json.dumps(
        {
            "version": 1,
            "columns": [
                {"name": "größe (m)", "kind": "numeric"},
                {"name": "colour, outside", "kind": "categorical", "categories": ["blue", "red"]},
                {"name": "code", "kind": "categorical", "categories": ["007", "7"]},
            ],
            "classes": ["0", "1"],
            "days": [{"day": "2013-01-01", "rows": 4}],
        }
    )
}
HEADER = 'größe (m),"colour, outside",code'


def transform(run_stage: RunStage, tables: Mapping[str, str]) -> Result:
    days = {f"raw/{day}": {"data.csv": text} for day, text in tables.items()}
    return run_stage("preprocess", "transform", inputs={"model": MODEL, **days})


def lines(result: Result) -> list[str]:
    assert (0, "") == (result.code, result.last_error)
    return (result.out / "data.csv").read_text("utf-8").splitlines()


def test_values_are_coded_as_the_model_knows_them(run_stage: RunStage) -> None:
    result = transform(run_stage, {"2013-02-01": f"{HEADER}\n1.50,red,7\nNA,blue,007\n3,,\n"})

    assert [HEADER, "1.5,1,1", ",0,0", "3,,"] == lines(result)
    assert 0 == result.summary["unseen_values"]


def test_columns_come_out_in_the_models_order(run_stage: RunStage) -> None:
    table = 'code,"colour, outside",größe (m)\n7,blue,1\n'
    result = transform(run_stage, {"2013-02-01": table})

    assert [HEADER, "1,0,1"] == lines(result)


def test_an_unseen_category_becomes_missing_and_is_counted(run_stage: RunStage) -> None:
    result = transform(run_stage, {"2013-02-01": f"{HEADER}\n1,green,7\n2,blue,8\n3,,7\n"})

    assert [HEADER, "1,,1", "2,0,", "3,,1"] == lines(result)
    assert 2 == result.summary["unseen_values"]


def test_columns_that_the_model_does_not_know_are_ignored_aloud(run_stage: RunStage) -> None:
    table = 'note,größe (m),target,"colour, outside",code\nhello,1,yes,red,7\n'
    result = transform(run_stage, {"2013-02-01": table})

    assert [HEADER, "1,1,1"] == lines(result)
    assert 2 == result.summary["ignored_columns"]
    assert "['note', 'target']" in result.stdout


def test_a_missing_column_is_named(run_stage: RunStage) -> None:
    result = transform(run_stage, {"2013-02-01": "größe (m),code\n1,7\n"})

    assert 65 == result.code
    assert "raw/2013-02-01/data.csv: column 'colour, outside'" in result.last_error


def test_days_follow_each_other(run_stage: RunStage) -> None:
    tables = {"2013-02-02": f"{HEADER}\n2,red,7\n", "2013-02-01": f"{HEADER}\n1,red,7\n"}
    result = transform(run_stage, tables)

    assert [HEADER, "1,1,1", "2,1,1"] == lines(result)
    assert (2, 2) == (result.summary["rows"], result.summary["days"])


def test_truth_values_in_a_numeric_column_are_text(run_stage: RunStage) -> None:
    result = transform(run_stage, {"2013-02-01": f"{HEADER}\nTrue,red,7\n"})

    assert 65 == result.code
    assert "row 1: column 'größe (m)' holds 'True'" in result.last_error


def test_training_data_is_coded_as_fit_coded_it(run_stage: RunStage) -> None:
    table = 'x,"a ""b""",when\n' + "".join(
        f'{row / 3},"{row % 5}, x",2013-01-0{row % 9}\n' for row in range(200)
    )
    raw = {"data.csv": table, "target.csv": "target\n" + "0\n1\n" * 100}
    fitted = run_stage("preprocess", "fit", inputs={"raw/2013-01-01": raw}, max_categories=3)
    result = run_stage(
        "preprocess", "transform", inputs={"raw/2013-01-01": raw, "model": fitted.out}
    )
    trained = (fitted.out / "train_data.csv").read_text("utf-8").splitlines()

    assert [line.rpartition(",")[0] for line in trained] == lines(result)
    assert fitted.summary["rare_values"] == result.summary["unseen_values"]
