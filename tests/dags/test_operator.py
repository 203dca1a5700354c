"""The operator on a real engine: what is published, what is retried, what is left behind."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from dags_harness import DAY, IMAGE, INSTALL, wait_for

from microstage.operator import StageOperator

RunStage = Callable[..., dict[str, Any]]
PUBLISHED = f"stage/{DAY}"


def test_a_stage_that_succeeds_is_published_and_its_summary_returned(
    run_stage: RunStage, data: Path, test_image: str
) -> None:
    summary = run_stage("ok", params={"date": "{ds}", "rounds": 3})

    manifest = json.loads((data / PUBLISHED / "manifest.json").read_text())
    files = sorted(path.name for path in (data / PUBLISHED).iterdir())

    assert {"rows": 3, "arguments": f"--date {DAY} --rounds 3"} == summary
    assert ["manifest.json", "result.txt", "summary.json"] == files
    assert test_image == manifest["image_id"]
    assert {"dag": "test", "run": "manual", "task": "stage", "map": -1, "try": 1} == manifest["run"]
    assert [] == list((data / ".staging").iterdir())


def test_both_outputs_of_a_stage_are_in_the_task_log(
    run_stage: RunStage, capsys: pytest.CaptureFixture[str]
) -> None:
    run_stage("ok")
    log = capsys.readouterr().out

    assert "a line on stdout" in log
    assert "a line on stderr" in log


@pytest.mark.parametrize("code", [64, 65, 66])
def test_wrong_usage_bad_data_and_missing_input_fail_without_a_retry(
    run_stage: RunStage, code: int
) -> None:
    with pytest.raises(AirflowFailException) as failed:
        run_stage("fail", params={"code": code})

    assert str(failed.value).startswith(f"stage: the reason, on row 7 (exit code {code}, ")


@pytest.mark.parametrize("code", [1, 2, 75, 139])
def test_any_other_exit_code_is_retried(run_stage: RunStage, code: int) -> None:
    with pytest.raises(AirflowException) as failed:
        run_stage("fail", params={"code": code})

    assert not isinstance(failed.value, AirflowFailException)
    assert f"the reason, on row 7 (exit code {code}, " in str(failed.value)


def test_the_reason_is_found_in_a_last_line_without_a_newline(run_stage: RunStage) -> None:
    with pytest.raises(AirflowFailException, match="stage: no newline at the end"):
        run_stage("long")


@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        ("nothing", "did not write result.txt"),
        ("empty", "wrote an empty result.txt"),
        ("link", "/out/extra, a link"),
        ("manifest", "/out/manifest.json, a name that the platform uses"),
        ("nested", "one flat JSON object"),
        ("nan", "NaN is not a JSON number"),
    ],
)
def test_an_output_that_breaks_the_contract_is_refused_and_the_earlier_one_kept(
    run_stage: RunStage, data: Path, verb: str, reason: str
) -> None:
    run_stage("ok")
    earlier = (data / PUBLISHED / "manifest.json").read_bytes()

    with pytest.raises(AirflowFailException, match=reason):
        run_stage(verb)

    assert earlier == (data / PUBLISHED / "manifest.json").read_bytes()
    assert [] == list((data / ".staging").iterdir())


def test_a_stage_that_dies_after_it_wrote_everything_is_not_published(
    run_stage: RunStage, data: Path
) -> None:
    with pytest.raises(AirflowException, match="it said nothing on stderr"):
        run_stage("half")

    assert not (data / PUBLISHED).exists()


def test_a_stage_sees_its_inputs_read_only_and_nothing_else(
    run_stage: RunStage, data: Path
) -> None:
    for day in ("2013-01-05", DAY, "2013-01-07"):
        (data / "raw" / day).mkdir(parents=True)
        (data / "raw" / day / "data.csv").write_text("x\n1\n")
    operator = StageOperator(task_id="stage", ds=DAY, window=2, force=False)

    summary = run_stage("count", reads={"raw": "raw/{day}"}, operator=operator)
    manifest = json.loads((data / PUBLISHED / "manifest.json").read_text())

    assert "./raw/2013-01-05/data.csv ./raw/2013-01-06/data.csv" == summary["files"].strip()
    assert ["raw/2013-01-05/data.csv", f"raw/{DAY}/data.csv"] == list(manifest["inputs"])


def test_a_missing_input_fails_at_once_and_names_the_stage_that_writes_it(
    run_stage: RunStage,
) -> None:
    with pytest.raises(AirflowFailException, match="other/2013-01-06 does not exist"):
        run_stage("count", reads={"other": "other/{ds}"})


def test_the_walls_hold_from_inside(run_stage: RunStage, data: Path) -> None:
    (data / "raw").mkdir()
    (data / "raw" / "data.csv").write_text("x\n1\n")

    seen = run_stage("look", reads={"raw": "raw"}, limits={"cpus": 1})
    owner = data.stat()

    assert "read-only" == seen["root"]
    assert "read-only" == seen["in"]
    assert "writable" == seen["tmp"]
    assert "0000000000000000 0000000000000000" == seen["capabilities"]
    assert 1 == seen["no_new_privileges"]
    assert ["lo"] == seen["interfaces"].split()
    assert (owner.st_uid, owner.st_gid) == (seen["uid"], seen["gid"])
    assert "1" == seen["threads"]
    assert seen["init"] in ("docker-init", "tini")
    assert {"HOME", "HOSTNAME", "OMP_NUM_THREADS", "PATH", "PWD"} >= set(
        seen["environment"].split()
    )


def test_a_network_is_there_only_when_the_row_asks_for_it(run_stage: RunStage) -> None:
    seen = run_stage("look", network=True, reads={})

    assert "eth0" in seen["interfaces"]


def test_a_network_of_the_project_leads_to_its_services_alone(
    run_stage: RunStage, engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_URL", "http://service")
    network = engine.networks.create(f"{INSTALL}_tracking", internal=True)
    try:
        seen = run_stage("look", network="tracking", reads={})
    finally:
        network.remove()

    assert "eth0" in seen["interfaces"]
    assert "SERVICE_URL" in seen["environment"].split()


def test_a_network_that_is_not_there_is_tried_again(
    run_stage: RunStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_URL", "http://service")

    with pytest.raises(AirflowException, match=f"no network {INSTALL}_tracking .* docker compose"):
        run_stage("look", network="tracking", reads={})


def test_limits_and_labels_are_on_the_container(
    run_stage: RunStage, containers: Callable[[], list[Any]]
) -> None:
    limits = {"cpus": 0.5, "memory": "32m", "pids": 7, "timeout": "20s"}
    task = threading.Thread(
        target=run_stage, args=("sleep",), kwargs={"params": {"seconds": 2}, "limits": limits}
    )
    task.start()
    [container] = wait_for(containers)
    host, labels = container.attrs["HostConfig"], container.labels
    task.join()

    assert 500_000_000 == host["NanoCpus"]
    assert 32 * 2**20 == host["Memory"] == host["MemorySwap"]
    assert 7 == host["PidsLimit"]
    assert {"dag": "test", "run": "manual", "task": "stage", "map": "-1", "try": "1"} == {
        key: labels[f"microstage.{key}"] for key in ("dag", "run", "task", "map", "try")
    }
    assert INSTALL == labels["microstage.install"]
    assert 0 < int(labels["microstage.deadline"]) - time.time() < 20 + 120


def test_a_manifest_says_what_the_stage_used(run_stage: RunStage, data: Path) -> None:
    run_stage("hold", params={"bytes": 20 * 2**20, "seconds": 3})
    used = json.loads((data / "stage" / DAY / "manifest.json").read_bytes())["used"]

    assert 20 * 2**20 <= used["memory"] < 64 * 2**20
    assert 0 < used["cpu_seconds"] < 5


def test_a_stage_without_enough_memory_says_so_and_which_row_to_change(
    run_stage: RunStage,
) -> None:
    with pytest.raises(AirflowException, match=r"limit of 16 MiB.*stage stage"):
        run_stage("eat", limits={"memory": "16m"})


@pytest.mark.parametrize("verb", ["sleep", "stubborn"])
def test_a_stage_past_its_time_limit_is_stopped(run_stage: RunStage, verb: str) -> None:
    started = time.monotonic()
    with pytest.raises(AirflowException, match="stopped after 1 s, its time limit"):
        run_stage(verb, params={"seconds": 60}, limits={"timeout": "1s"})

    assert time.monotonic() - started < 8


def test_an_absent_image_fails_at_once_and_says_what_to_do(run_stage: RunStage) -> None:
    with pytest.raises(AirflowFailException, match=r"\./build_images\.sh no-such"):
        run_stage("ok", image="microstage/no-such:1.0.0")


def test_an_engine_that_does_not_answer_is_one_sentence_and_a_retry(run_stage: RunStage) -> None:
    operator = StageOperator(
        task_id="stage", ds=DAY, force=False, docker_url="unix:///nowhere.sock"
    )
    with pytest.raises(AirflowException, match="does not answer") as failed:
        run_stage("ok", operator=operator)

    assert not isinstance(failed.value, AirflowFailException)


def test_what_the_engine_refuses_is_the_engines_and_a_retry(
    run_stage: RunStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise docker.errors.APIError("500 Server Error", explanation="failed to create shim task")

    monkeypatch.setattr(docker.APIClient, "start", refuse)
    with pytest.raises(AirflowException, match="The Docker Engine refused: failed to") as failed:
        run_stage("ok")

    assert not isinstance(failed.value, AirflowFailException)


def test_gpus_that_the_engine_has_not_are_one_sentence_and_no_retry(run_stage: RunStage) -> None:
    with pytest.raises(AirflowFailException, match="asks for gpus, and this Docker Engine has"):
        run_stage("ok", gpus=1)


def test_work_that_is_done_is_not_done_again_and_returns_the_published_summary(
    run_stage: RunStage, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run_stage("random")
    second = run_stage("random")

    assert first == second
    assert f"stage/{DAY} is up to date" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [{"params": {"seed": 2}}, {"writes": {"to": "stage/{ds}", "files": ["summary.json"]}}],
)
def test_changed_parameters_are_run_again_and_other_changes_of_the_row_are_not(
    run_stage: RunStage, change: dict[str, Any]
) -> None:
    first = run_stage("random")
    second = run_stage("random", **change)

    assert ("params" in change) == (first != second)


def test_force_runs_what_is_up_to_date(run_stage: RunStage) -> None:
    first = run_stage("random")
    second = run_stage("random", operator=StageOperator(task_id="stage", ds=DAY, force="True"))

    assert first != second


def test_another_image_under_the_same_name_is_run_again(
    run_stage: RunStage, engine: Any, test_image: str
) -> None:
    first = run_stage("random")
    other = engine.containers.create(IMAGE)
    changed = other.commit(changes=["LABEL changed=yes"])
    try:
        changed.tag(*IMAGE.split(":"))
        second = run_stage("random")
    finally:
        other.remove()
        engine.images.get(test_image).tag(*IMAGE.split(":"))
        engine.images.remove(changed.id)

    assert first != second


def test_files_that_a_person_put_there_are_not_replaced(run_stage: RunStage, data: Path) -> None:
    (data / PUBLISHED).mkdir(parents=True)
    (data / PUBLISHED / "result.txt").write_text("mine")

    with pytest.raises(AirflowFailException, match="no stage published"):
        run_stage("ok")

    assert "mine" == (data / PUBLISHED / "result.txt").read_text()


def test_inputs_that_are_replaced_while_a_stage_reads_them_are_a_reason_to_try_again(
    run_stage: RunStage, data: Path, containers: Callable[[], list[Any]]
) -> None:
    (data / "raw").mkdir()
    (data / "raw" / "data.csv").write_text("x\n1\n")

    def replace() -> None:
        wait_for(containers)
        (data / "raw" / "data.csv").write_text("x\n1\n2\n")

    other = threading.Thread(target=replace)
    other.start()
    with pytest.raises(AirflowException, match="were replaced while it read them"):
        run_stage("sleep", params={"seconds": 1}, reads={"raw": "raw"})
    other.join()

    assert not (data / PUBLISHED).exists()


def test_a_pinned_image_runs_whatever_its_name_means_by_now(
    run_stage: RunStage, data: Path, test_image: str
) -> None:
    run_stage("ok", image=f"microstage/another:tag@{test_image}")

    manifest = json.loads((data / PUBLISHED / "manifest.json").read_text())
    assert test_image == manifest["image_id"]


def test_a_pinned_image_that_has_vanished_fails_at_once_and_says_the_way_back(
    run_stage: RunStage,
) -> None:
    with pytest.raises(AirflowFailException, match="swap_stage STAGE --rollback"):
        run_stage("ok", image=f"microstage/gone:1@sha256:{64 * '0'}")
