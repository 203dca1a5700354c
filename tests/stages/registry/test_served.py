"""What the image serve answers: the rows of predictions.csv, whatever happens around it."""

import io
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from harness import RunStage
from registry.made import KINDS, Made, table
from registry.server import Mlflow, model_inputs, published, sha256
from registry.serving import Serving, serving

DOWN = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}


@pytest.fixture
def serve(mlflow: Mlflow) -> Iterator[Serving]:
    with serving(mlflow) as found:
        yield found


@pytest.fixture
def made(mlflow: Mlflow, run_stage: RunStage) -> Made:
    return Made(mlflow, run_stage, "train", "two")


def sent(made: Made) -> tuple[list[str], list[list[Any]]]:
    """The new day's columns and rows, its numbers as numbers."""
    header, *rows = table(made.rows)
    return header, [[value(field) for field in row] for row in rows]


def value(field: str) -> str | int | float | None:
    for kind in (int, float):
        try:
            return kind(field)
        except ValueError:
            continue
    return field or None


def rows_of(made: Made, answer: requests.Response) -> list[list[str]]:
    """An answer as predictions.csv has it."""
    assert answer.ok, answer.text
    columns = table(made.predictions)[0]
    return [[str(row[name]) for name in columns] for row in answer.json()["predictions"]]


@pytest.mark.parametrize(("trainer", "kind"), KINDS)
def test_it_answers_what_the_stage_predicts(
    mlflow: Mlflow, run_stage: RunStage, serve: Serving, trainer: str, kind: str
) -> None:
    made = Made(mlflow, run_stage, trainer, kind)
    serve.start()
    serve.until(version="1", warning=None)
    header, rows = sent(made)
    records = [dict(zip(header, row, strict=True)) for row in rows]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    _, *expected = table(made.predictions)

    for answer in (
        serve.ask(dataframe_split={"columns": header, "data": rows}),
        serve.ask(dataframe_records=records),
        serve.ask(instances=records),
        serve.ask(inputs=columns),
        serve.ask(inputs=records, params={}),
        serve.post(made.rows, "text/csv; charset=utf-8"),
    ):
        assert expected == rows_of(made, answer)
    found = [rows_of(made, serve.ask(dataframe_records=[record]))[0] for record in records[:50]]
    assert expected[:50] == found
    assert [] == rows_of(made, serve.ask(dataframe_split={"columns": header, "data": []}))
    assert [200, 200] == [serve.get(path).status_code for path in ("/ping", "/health")]


def test_what_is_asked_at_once_is_answered_each_by_its_own(made: Made, serve: Serving) -> None:
    serve.start()
    serve.until(version="1")
    header, rows = sent(made)
    _, *expected = table(made.predictions)
    size = header.index("size (m²)")

    def ask(i: int) -> None:
        row, more = list(rows[i]), {}
        if i % 10 == 0:
            row[size] = "1,5"
        elif i % 7 == 0:
            more = {"of another table": 1}  # no column of the model's
        record = {**dict(zip(header, row, strict=True)), **more}
        answer = serve.ask(dataframe_records=[record])
        if i % 10 == 0:
            assert 400 == answer.status_code
            assert "'1,5', numbers with a decimal comma" in answer.json()["message"]
        else:
            assert [expected[i]] == rows_of(made, answer)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(ask, range(200)))


def test_many_rows_are_answered_beside_few(made: Made, serve: Serving) -> None:
    serve.start()
    serve.until(version="1")
    many = made.rows + made.rows.partition("\n")[2] * 9
    _, *expected = table(made.predictions)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(serve.post, many, "text/csv")
        assert 200 == serve.get("/ping").status_code

    assert expected * 10 == rows_of(made, answer.result())


def test_production_changes_and_no_request_is_lost(
    made: Made, run_stage: RunStage, serve: Serving
) -> None:
    serve.start()
    serve.until(version="1")
    header, rows = sent(made)
    body = json.dumps({"dataframe_split": {"columns": header, "data": rows[:20]}})
    answers: list[tuple[int, str]] = []
    ended = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            while not ended.is_set():
                answer = session.post(
                    f"{serve.url}/invocations",
                    body,
                    headers={"Content-Type": "application/json"},
                    timeout=30,
                )
                answers.append((answer.status_code, answer.text))

    with ThreadPoolExecutor() as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            other = Made(made.mlflow, run_stage, "train_xgboost", "two")
            serve.until(version="2", warning=None)
            changed = len(answers)
            time.sleep(1)
        finally:
            ended.set()
        for each in asking:
            each.result()
    texts = [text for _, text in answers]
    before, after = texts[0], texts[-1]

    assert {200} == {code for code, _ in answers}
    assert {before, after} == set(texts)
    assert {after} == set(texts[changed + 3 :])
    for version, text in ((made, before), (other, after)):
        _, *expected = table(version.predictions)
        found = [[str(field) for field in row.values()] for row in json.loads(text)["predictions"]]
        assert expected[:20] == found


def test_it_answers_while_mlflow_is_away_also_after_a_restart(made: Made, serve: Serving) -> None:
    serve.start()
    serve.until(version="1")
    _, *expected = table(made.predictions)
    made.mlflow.container.pause()
    try:
        serve.until(version="1", warning="what is served may not be what is in production")
        assert expected == rows_of(made, serve.post(made.rows, "text/csv"))
    finally:
        made.mlflow.container.unpause()
    serve.until(version="1", warning=None)
    serve.start(**DOWN)
    serve.until(version="1", warning="MLflow at http://127.0.0.1:9 does not answer")

    assert expected == rows_of(made, serve.post(made.rows, "text/csv"))


def test_a_copy_that_is_not_whole_is_not_served(made: Made, serve: Serving) -> None:
    serve.start()
    serve.until(version="1")
    engine = serve.mlflow.engine
    engine.client.containers.run(
        "microstage/serve:1.0.0",
        ["-c", BREAK],
        entrypoint=["python3"],
        network_mode="none",
        volumes={serve.volume: {"bind": "/var/lib/serve"}},
        remove=True,
    )
    serve.start(**DOWN)
    serve.until(version=None, warning="MLflow at http://127.0.0.1:9 does not answer")

    assert 503 == serve.get("/health").status_code
    serve.start()
    serve.until(version="1", warning=None)


BREAK = """
import glob
(path,) = glob.glob("/var/lib/serve/version-*/code/predict.zip")
open(path, "ab").write(b" ")
"""


def test_another_model_is_not_served_from_the_copy_here(made: Made, serve: Serving) -> None:
    serve.start()
    serve.until(version="1")
    serve.start("--model=other", **DOWN)

    serve.until(version=None, warning="does not answer")


def test_code_that_was_changed_is_refused(made: Made, run_stage: RunStage, serve: Serving) -> None:
    changed = made.mlflow.file("version/code/transform.zip") + b" "
    made.mlflow.file("version/code/transform.zip", "PUT", changed)
    serve.start()
    serve.until(version=None, warning="code/transform.zip of version 1 of ")

    answer = serve.ask(dataframe_records=[{}])
    assert (503, "TEMPORARILY_UNAVAILABLE") == (answer.status_code, answer.json()["error_code"])
    assert "is not as its tags say: it was changed" in answer.json()["message"]
    Made(made.mlflow, run_stage, "train_xgboost", "two")
    serve.until(version="2", warning=None)


def test_a_version_without_code_is_refused_and_the_one_before_goes_on(
    made: Made, serve: Serving
) -> None:
    serve.start()
    serve.until(version="1")
    without = made.mlflow.ok("track", model_inputs())
    made.mlflow.ok("promote", {"version": without.out})
    serve.until(version="1", warning="was recorded without the code that transforms and predicts")

    assert 200 == serve.post(made.rows, "text/csv").status_code


def test_tags_are_the_digests_of_the_code_which_stages_do_not_fetch(made: Made) -> None:
    (version,) = made.mlflow.versions()
    tags = {tag["key"]: tag["value"] for tag in version["tags"]}
    fetched = made.mlflow.ok("fetch")
    files = {str(path.relative_to(fetched.out)) for path in fetched.out.rglob("*")}

    for name in ("transform.zip", "predict.zip"):
        assert sha256(made.mlflow.file(f"version/code/{name}")) == tags[f"code.sha256.{name}"]
    assert {"model.txt", "model.json", "preprocess.json", "metrics.json"} < files
    assert not {path for path in files if path.startswith("code")}


@pytest.mark.parametrize(
    ("requirement", "words"),
    [
        ("numpy==1.0.0", "needs numpy==1.0.0, this image has "),
        ("scikit-learn==1.0.0", None),  # which the version's code does not ask for
        ('numpy==1.0.0 ; python_version < "3"', None),
    ],
)
def test_libraries_are_those_that_the_version_asks_for(
    made: Made, serve: Serving, requirement: str, words: str | None
) -> None:
    serve.start()
    serve.until(version="1")
    for name in ("processed", "validation"):
        outputs: dict[str, Any] = dict(made.found[name])  # type: ignore[arg-type]
        del outputs["manifest.json"]
        outputs["code.zip"] = with_requirement(outputs["code.zip"], requirement)
        made.found[name] = published(name, outputs, {})
    made.promote()
    if words:
        serve.until(version="1", warning=words)
    else:
        serve.until(version="2", warning=None)


def with_requirement(archive: bytes, line: str) -> bytes:
    """The code of a stage, asking for this instead of for what it asks."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = f"{line}\n".encode() if name == "requirements.txt" else old.read(name)
            new.writestr(name, content)
    return changed.getvalue()


def test_with_nothing_in_production_it_says_so_and_waits(
    mlflow: Mlflow, run_stage: RunStage, serve: Serving
) -> None:
    serve.start()
    serve.until(version=None, warning=f"no model of the name {mlflow.name} in production")
    answer = serve.ask(dataframe_records=[{}])

    assert (503, "approve one in the DAG train_model") == (
        answer.status_code,
        answer.json()["message"].partition(": ")[2],
    )
    assert [503, 503] == [serve.get(path).status_code for path in ("/ping", "/health")]
    Made(mlflow, run_stage, "train", "two")
    serve.until(version="1", warning=None)
    where = "registered-models/alias"
    mlflow.call("DELETE", where, name=mlflow.name, alias="production")
    serve.until(version=None, warning="in production")


BAD: list[tuple[str, str, int, str]] = [
    ("", "", 415, "Content-Type is not set: send application/json or text/csv"),
    ("a", "application/x-www-form-urlencoded", 415, "send application/json or text/csv"),
    ("", "application/json", 400, "The body is not JSON"),
    ('{"dataframe_split": NaN}', "application/json", 400, "The body is not JSON"),
    ("[1]", "application/json", 400, "The body is no JSON object"),
    ("{}", "application/json", 400, "The body has nothing: it must have one of dataframe_split"),
    ('{"rows": []}', "application/json", 400, "The body has rows: it must have one of"),
    ('{"inputs": {}, "instances": []}', "application/json", 400, "has inputs, instances"),
    ('{"inputs": {}, "params": {"a": 1}}', "application/json", 400, "The model has no params"),
    ('{"dataframe_split": [1]}', "application/json", 400, "must be an object such as"),
    ('{"dataframe_split": {"columns": [1], "data": []}}', "application/json", 400, "such as"),
    ('{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}', "application/json", 400, "Row 0"),
    ('{"dataframe_split": {"columns": ["a", "a"], "data": []}}', "application/json", 400, "twice"),
    ('{"dataframe_records": {"a": 1}}', "application/json", 400, "must be a list of objects"),
    ('{"instances": [[1]]}', "application/json", 400, "must be a list of objects"),
    ('{"instances": [{"a": [1]}]}', "application/json", 400, "'a' holds a list or an object"),
    ('{"inputs": {"a": 1}}', "application/json", 400, "inputs must be lists of values by column"),
    ('{"inputs": {"a": [1], "b": []}}', "application/json", 400, "of different lengths: [0, 1]"),
    ('{"inputs": {"rooms": [1]}}', "application/json", 400, "are missing: the model learned from"),
    ("", "text/csv", 400, "The body is empty"),
    ("a,a\n1,2\n", "text/csv", 400, "has the columns ['a'] twice"),
    ("a,b\n1\n", "text/csv", 400, "Row 0 has 1 fields, the header 2"),
    ('a\n"1" 2\n', "text/csv", 400, "The body is no CSV"),
    ("a\n\udcff\n", "text/csv", 400, "The body is not UTF-8"),
]


def test_what_cannot_be_answered_is_said(made: Made, serve: Serving) -> None:
    serve.start("--largest=1")
    serve.until(version="1")
    for body, media_type, status, words in BAD:
        answer = serve.post(body.encode("utf-8", "surrogateescape"), media_type)
        found = answer.json()

        assert (status, {"error_code", "message"}) == (answer.status_code, found.keys()), body
        assert words in found["message"]
        assert 400 != status or "BAD_REQUEST" == found["error_code"]
    large = serve.post(b"a\n" * 10**6, "text/csv")
    unsized = requests.post(
        f"{serve.url}/invocations",
        iter([b"a\n" * 10**5] * 10),
        headers={"Content-Type": "text/csv"},
        timeout=30,
    )
    wrong = [serve.get("/invocations").status_code, serve.get("/").status_code]

    assert [413, 413] == [large.status_code, unsized.status_code]
    assert "more than 1000000 bytes: send fewer rows at once" in large.json()["message"]
    assert [405, 404] == wrong
    assert 200 == serve.post(made.rows, "text/csv").status_code
    assert "Traceback" not in serve.log()


def test_it_ends_within_seconds(made: Made, serve: Serving) -> None:
    serve.start()
    serve.until(version="1")
    container = serve.container
    container.kill("SIGTERM")

    assert 143 == container.wait(timeout=10)["StatusCode"]
