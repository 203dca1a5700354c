"""What is in production: put there, taken out, fetched; once or twice, whole or cut short."""

import json
from typing import Any

import pytest
from harness import Result
from registry.server import Files, Mlflow, model_inputs, tracked, using


def version(result: Result) -> dict[str, str | bytes]:
    return {"version.json": (result.out / "version.json").read_bytes()}


def compared_with(champion: str | None, verdict: str | None) -> dict[str, str | bytes]:
    entry = {"name": "microstage", "version": champion} if champion else None
    content = {"version": 1, "champion": entry, **({"verdict": verdict} if verdict else {})}
    return {"comparison.json": json.dumps(content)}


def promote(
    mlflow: Mlflow,
    result: Result,
    *champion: str | None,
    verdict: str | None = None,
    by: str | None = None,
) -> Result:
    inputs: Files = {"version": version(result)}
    if champion:
        inputs["comparison"] = compared_with(champion[0], verdict)
    return mlflow.run("promote", inputs, *([] if by is None else ["--approved-by", by]))


def approval(mlflow: Mlflow, number: int) -> dict[str, str]:
    """The tags of a version that say who approved it and why."""
    tags = {tag["key"]: tag["value"] for tag in mlflow.versions()[number - 1]["tags"]}
    return {key: tags[key] for key in ("approved_by", "verdict") if key in tags}


def rollback(mlflow: Mlflow, result: Result) -> Result:
    return mlflow.run("rollback", {"production": version(result)})


def written(result: Result, file: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((result.out / file).read_text("utf-8"))
    return content


@pytest.fixture
def one(mlflow: Mlflow) -> Result:
    return tracked(mlflow, "one tree")


@pytest.fixture
def two(mlflow: Mlflow, one: Result) -> Result:
    return tracked(mlflow, "two trees")


def test_the_first_model_goes_into_production(mlflow: Mlflow, one: Result) -> None:
    result = promote(mlflow, one, None)
    expected = {"name": mlflow.name, "production": "1", "previous": None}
    expected |= {"approved_by": None, "verdict": None}

    assert (0, "", {"production": "1"}) == (result.code, result.stderr, mlflow.aliases())
    assert list(expected.items()) == list(written(result, "promotion.json").items())
    assert {**expected, "changed": True} == result.summary
    assert {} == approval(mlflow, 1)


def test_who_approved_and_why_is_kept_with_the_version(
    mlflow: Mlflow, one: Result, two: Result
) -> None:
    promote(mlflow, one, None, verdict="first", by="Zoë  Müller\n")
    result = promote(mlflow, two, "1", verdict="better", by="auto_promotion=better")
    expected = {"approved_by": "auto_promotion=better", "verdict": "better"}

    assert {"approved_by": "Zoë Müller", "verdict": "first"} == approval(mlflow, 1)
    assert expected == approval(mlflow, 2)
    assert expected.items() <= written(result, "promotion.json").items()
    assert expected.items() <= result.summary.items()


def test_the_first_approval_stays_and_what_it_lacks_is_added(mlflow: Mlflow, one: Result) -> None:
    promote(mlflow, one, by=" ")
    steps: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"by": "admin"}, {"approved_by": "admin"}),
        ({"by": "other", "verdict": "first"}, {"approved_by": "admin", "verdict": "first"}),
        ({"by": "other", "verdict": "worse"}, {"approved_by": "admin", "verdict": "first"}),
    ]
    for given, expected in steps:
        result = promote(mlflow, one, None, **given)

        assert expected == approval(mlflow, 1)
        content = written(result, "promotion.json")
        assert {"approved_by": None, "verdict": None, **expected}.items() <= content.items()
        assert result.summary["changed"] is False


def test_a_version_that_comes_back_has_its_new_approval(
    mlflow: Mlflow, one: Result, two: Result
) -> None:
    promote(mlflow, one, None, verdict="first", by="admin")
    promote(mlflow, two, "1", verdict="better", by="admin")
    promote(mlflow, one, by="other")

    assert {"approved_by": "other"} == approval(mlflow, 1)


def test_a_promotion_that_is_refused_approves_nothing(
    mlflow: Mlflow, one: Result, two: Result
) -> None:
    promote(mlflow, one)
    result = promote(mlflow, two, "7", verdict="better", by="admin")

    assert (65, {}) == (result.code, approval(mlflow, 2))


def test_the_one_before_becomes_previous(mlflow: Mlflow, one: Result, two: Result) -> None:
    promote(mlflow, one)
    result = promote(mlflow, two, "1")

    assert {"production": "2", "previous": "1"} == mlflow.aliases()
    assert {"production": "2", "previous": "1", "changed": True}.items() <= result.summary.items()


def test_promoting_what_is_in_production_changes_nothing(
    mlflow: Mlflow, one: Result, two: Result
) -> None:
    first = [promote(mlflow, one), promote(mlflow, two, "1")][1]
    again = promote(mlflow, two, "1")

    assert {"production": "2", "previous": "1"} == mlflow.aliases()
    assert written(first, "promotion.json") == written(again, "promotion.json")
    assert again.summary["changed"] is False


@pytest.mark.parametrize("champion", [None, "2"])
def test_a_comparison_with_another_champion_does_not_count(
    mlflow: Mlflow, one: Result, two: Result, champion: str | None
) -> None:
    promote(mlflow, one)
    result = promote(mlflow, two, champion)

    assert (65, {"production": "1"}) == (result.code, mlflow.aliases())
    assert result.last_error == (
        "Production is now version 1, but this model was compared with "
        f"{'version 2' if champion else 'none'}: clear the task champion and what follows, and "
        "decide again"
    )


def test_a_promotion_that_was_cut_short_is_completed(
    mlflow: Mlflow, one: Result, two: Result
) -> None:
    promote(mlflow, one)
    mlflow.set_alias("previous", "1")  # all that the killed try did
    result = promote(mlflow, two, "1")

    assert 0 == result.code
    assert {"production": "2", "previous": "1"} == mlflow.aliases()


def test_a_promotion_that_was_cut_short_and_given_up_forgets_no_version(
    mlflow: Mlflow, one: Result, two: Result
) -> None:
    for result in (one, two, tracked(mlflow, "three trees")):
        promote(mlflow, result)
    mlflow.set_alias("production", "2")  # as the last one would have left it between its calls
    result = rollback(mlflow, two)

    assert 0 == result.code
    assert {"production": "1", "previous": "2"} == mlflow.aliases()


def test_a_version_that_is_not_in_mlflow_is_refused(mlflow: Mlflow, one: Result) -> None:
    described = written(one, "version.json")
    for other in ({"version": "7"}, {"run_id": "0" * 32}):
        inputs: Files = {"version": {"version.json": json.dumps({**described, **other})}}
        result = mlflow.run("promote", inputs)

        assert (66, {}) == (result.code, mlflow.aliases())
        assert "clear the task track" in result.last_error


@pytest.mark.parametrize("verb", ["promote", "rollback"])
@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ('{"name": "micro', 65, "is not JSON"),
        ("[1]", 65, "is no object with name, version, run_id"),
        ('{"name": "other", "version": "1", "run_id": "1"}', 65, "is of the model other"),
        (None, 66, "No such file"),
    ],
)
def test_a_bad_version_file_is_refused(
    mlflow: Mlflow, verb: str, content: str | None, code: int, words: str
) -> None:
    folder = "version" if verb == "promote" else "production"
    files: dict[str, str | bytes] = {"summary.json": "{}"}
    result = mlflow.run(verb, {folder: files | ({"version.json": content} if content else {})})

    assert code == result.code
    assert f"{folder}/version.json" in result.last_error
    assert words in result.last_error


def test_a_bad_comparison_is_refused(mlflow: Mlflow, one: Result) -> None:
    for content in ("", "{}", '{"champion": "1"}', '{"champion": null, "verdict": 1}'):
        inputs: Files = {"version": version(one), "comparison": {"comparison.json": content}}
        result = mlflow.run("promote", inputs)

        assert 65 == result.code
        assert "comparison/comparison.json" in result.last_error


def test_a_rollback_lets_both_change_places_once(mlflow: Mlflow, one: Result, two: Result) -> None:
    promote(mlflow, one)
    promote(mlflow, two)
    first = rollback(mlflow, two)
    expected = {"name": mlflow.name, "production": "1", "previous": "2"}

    assert {"production": "1", "previous": "2"} == mlflow.aliases()
    assert expected == written(first, "rollback.json")
    assert {**expected, "changed": True} == first.summary
    again = rollback(mlflow, two)
    assert {"production": "1", "previous": "2"} == mlflow.aliases()
    assert (0, {**expected, "changed": False}) == (again.code, again.summary)


def test_a_rollback_that_was_cut_short_is_completed(
    mlflow: Mlflow, one: Result, two: Result
) -> None:
    promote(mlflow, one)
    promote(mlflow, two)
    mlflow.set_alias("production", "1")  # all that the killed try did
    result = rollback(mlflow, two)

    assert 0 == result.code
    assert {"production": "1", "previous": "2"} == mlflow.aliases()


def test_nothing_to_go_back_to_is_said(mlflow: Mlflow, one: Result) -> None:
    for state, words in (({}, "is in production"), ({"production": "1"}, "nothing to go back to")):
        for alias, number in state.items():
            mlflow.set_alias(alias, number)
        result = rollback(mlflow, one)

        assert (66, state) == (result.code, mlflow.aliases())
        assert words in result.last_error


def test_what_is_in_production_is_fetched_as_it_was_tracked(
    mlflow: Mlflow, one: Result, two: Result
) -> None:
    promote(mlflow, two)
    result = mlflow.ok("fetch")
    files: Any = model_inputs("two trees")
    expected = {name: files["model"][name] for name in ("model.txt", "model.json")}
    expected["preprocess.json"] = files["model"]["preprocess.json"]
    expected["metrics.json"] = files["validation"]["metrics.json"]
    expected["version.json"] = (two.out / "version.json").read_text("utf-8")
    found = {path.name: path.read_text("utf-8") for path in result.out.iterdir()}

    assert result.summary == json.loads(found.pop("summary.json"))
    assert expected == found
    assert {"version": "2", "served_from": "registry", "warning": None}.items() <= (
        result.summary.items()
    )


@pytest.mark.parametrize("text", ["", "a lot", "[" * 4000, "NaN", '{"memory": -1}'])
def test_what_was_made_of_it_in_mlflow_keeps_no_model_away(
    mlflow: Mlflow, one: Result, text: str
) -> None:
    promote(mlflow, one)
    tag = {"name": mlflow.name, "version": "1", "key": "used", "value": text}
    mlflow.call("POST", "model-versions/set-tag", **tag)
    result = mlflow.ok("fetch")

    assert "used" not in written(result, "version.json")


def test_no_model_in_production_yet_is_said(mlflow: Mlflow) -> None:
    for _ in range(2):
        result = mlflow.run("fetch")

        assert 66 == result.code
        assert "in production yet: approve one in the DAG train_model" in result.last_error
        tracked(mlflow, "one tree")  # the second time there is a model, but not in production


@pytest.mark.parametrize("content", [b"another tree", b""])
def test_a_file_that_was_changed_in_mlflow_is_refused(
    mlflow: Mlflow, one: Result, content: bytes
) -> None:
    promote(mlflow, one)
    mlflow.file("version/model.txt", "PUT", content)
    result = mlflow.run("fetch")

    assert 65 == result.code
    assert "model.txt of version 1 in MLflow is not as its tags say" in result.last_error
    assert not (result.out / "model.txt").exists()


def test_a_file_that_is_gone_from_mlflow_is_said(mlflow: Mlflow, one: Result) -> None:
    promote(mlflow, one)
    mlflow.file("version/model.txt", "DELETE")
    result = mlflow.run("fetch")

    assert 65 == result.code
    assert "model.txt of version 1" in result.last_error


def test_a_version_of_unknown_files_is_refused(mlflow: Mlflow, one: Result) -> None:
    (run,) = mlflow.runs()
    source = f"{run['info']['artifact_uri']}/model"
    content = {"name": mlflow.name, "source": source, "run_id": run["info"]["run_id"]}
    mlflow.call("POST", "model-versions/create", **content)
    mlflow.set_alias("production", "2")
    result = mlflow.run("fetch")

    assert 65 == result.code
    assert "Version 2" in result.last_error
    assert "was not recorded by track" in result.last_error


def copies(**results: Result) -> dict[str, str | bytes]:
    """What the platform has published by these names, the oldest first."""
    files: dict[str, str | bytes] = {}
    for number, (name, result) in enumerate(results.items()):
        files |= copy(name, result, f"2026-11-2{number}T00:00:00+00:00")
    return files


def copy(name: str, result: Result, started: str) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {
        f"{name}/{path.name}": path.read_bytes() for path in result.out.iterdir()
    }
    return {**files, f"{name}/manifest.json": json.dumps({"started": started})}


DOWN = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}


def test_the_newest_local_copy_serves_while_mlflow_is_down(
    mlflow: Mlflow, one: Result, two: Result
) -> None:
    promote(mlflow, one)
    first = mlflow.ok("fetch")
    promote(mlflow, two)
    second = mlflow.ok("fetch")
    local = copies(**{"2013-01-20": first, "2013-01-19": second})
    result = mlflow.run("fetch", {"local": local}, **DOWN)
    names = sorted(path.name for path in second.out.iterdir())

    assert 0 == result.code
    assert result.last_error.startswith("WARNING: MLflow at http://127.0.0.1:9 does not answer")
    assert names == sorted(path.name for path in result.out.iterdir())
    for name in set(names) - {"summary.json"}:
        assert (second.out / name).read_bytes() == (result.out / name).read_bytes()
    assert "local/2013-01-19" == result.summary["served_from"]
    assert "does not answer" in result.summary["warning"]


def test_what_its_training_used_comes_with_a_model_wherever_it_is_from(mlflow: Mlflow) -> None:
    promote(mlflow, mlflow.ok("track", using({"cpu_seconds": 20.12})))
    fetched = mlflow.ok("fetch")
    copied = mlflow.run("fetch", {"local": copies(standby=fetched)}, **DOWN)

    for result in (fetched, copied):
        assert 0 == result.code
        assert {"seconds": 12.5, "cpu_seconds": 20.12} == written(result, "version.json")["used"]


@pytest.mark.parametrize("newest", ["standby", "2013-01-20"])
def test_the_standby_is_a_copy_like_those_of_days(
    mlflow: Mlflow, one: Result, two: Result, newest: str
) -> None:
    older = {"standby", "2013-01-20"} - {newest}
    promote(mlflow, one)
    first = mlflow.ok("fetch")
    promote(mlflow, two)
    local = copies(**{older.pop(): first, newest: mlflow.ok("fetch")})
    result = mlflow.run("fetch", {"local": local}, **DOWN)

    assert (0, "2") == (result.code, result.summary["version"])
    assert f"local/{newest}" == result.summary["served_from"]


def test_of_copies_of_one_second_the_name_decides(mlflow: Mlflow, one: Result) -> None:
    promote(mlflow, one)
    fetched, second = mlflow.ok("fetch"), "2026-11-21T21:22:47+00:00"
    local = {**copy("standby", fetched, second), **copy("2013-01-20", fetched, second)}
    result = mlflow.run("fetch", {"local": local}, **DOWN)

    assert "local/standby" == result.summary["served_from"]


BROKEN: list[tuple[str, str | None, str]] = [
    ("model.txt", "another tree", "its model.txt is not as its version.json says"),
    ("model.txt", None, "local/standby/model.txt: No such file"),
    ("version.json", None, "local/standby/version.json: No such file"),
    ("version.json", '{"name": "micro', "local/standby/version.json is not JSON"),
    ("version.json", "{}", "local/standby/version.json is no object with name"),
]


@pytest.mark.parametrize(("file", "content", "words"), BROKEN)
def test_a_broken_local_copy_is_passed_over(
    mlflow: Mlflow, one: Result, file: str, content: str | None, words: str
) -> None:
    promote(mlflow, one)
    fetched = mlflow.ok("fetch")
    local = copies(**{"2013-01-20": fetched, "standby": fetched})
    del local[f"standby/{file}"]
    if content is not None:
        local[f"standby/{file}"] = content
    result = mlflow.run("fetch", {"local": local}, **DOWN)
    passed_over, down = result.stderr.splitlines()

    assert (0, "local/2013-01-20") == (result.code, result.summary["served_from"])
    assert passed_over.startswith("WARNING: local/standby is passed over: ")
    assert words in passed_over
    assert down.endswith("until then local/2013-01-20 is used")
    assert (fetched.out / "model.txt").read_bytes() == (result.out / "model.txt").read_bytes()


def test_a_copy_of_another_model_is_passed_over(mlflow: Mlflow, one: Result) -> None:
    promote(mlflow, one)
    local = copies(standby=mlflow.ok("fetch"))
    other = mlflow.run("fetch", {"local": local}, "--name", "other", **DOWN)

    assert 75 == other.code
    assert f"it is of the model {mlflow.name}, not of other" in other.stderr
    assert [] == list(other.out.iterdir())


def test_without_mlflow_and_a_copy_it_is_worth_another_try(mlflow: Mlflow) -> None:
    inputs: list[Files] = [{}, {"local": {}}]
    for given in inputs:
        result = mlflow.run("fetch", given, **DOWN)

        assert 75 == result.code
        assert "MLflow at http://127.0.0.1:9 does not answer" in result.last_error


def test_a_full_disk_is_said(mlflow: Mlflow) -> None:
    promote(mlflow, tracked(mlflow, "a large tree " * 10**4))
    command = ["fetch", "--name", mlflow.name]
    result = mlflow.engine.run("registry", command, out_size="64k", **mlflow.options())

    assert (75, 1) == (result.code, len(result.stderr.splitlines()))
    assert "the disk of the output is full" in result.last_error
