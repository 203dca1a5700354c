"""The whole story on a running stack: real engine, real scheduler, real flights."""

import csv
import datetime as dt
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from stack import Stack, clone_to, wait_until

from support.swaps import present

RUN_DATES = ["scripts/run_dates", "--pipeline", "flights", "2013-01-13", "2013-01-20"]
PREDICTED = ["2013-01-14", "2013-01-15", "2013-01-16", "2013-01-21", "2013-01-22", "2013-01-23"]


def test_the_demo_ends_with_date_rows_auc_and_the_address(stack: Stack) -> None:
    rows = re.findall(r"(?m)^(2013-\d\d-\d\d) +(\d+) .* (0\.\d{3})\b", stack.demo)

    assert [row[0] for row in rows] == [
        "2013-01-13", *PREDICTED[:3], "2013-01-20", *PREDICTED[3:],
    ]  # fmt: skip
    # Better than a coin on every one of these days, and not too good to be true.
    assert all(0.5 < float(auc) < 0.9 for _, _, auc in rows)
    assert len(set(re.findall(r"http://localhost:(\d+)", stack.demo))) == 4
    assert "The model of 2013-01-20 waits for your decision: http://localhost:" in stack.demo


def test_every_day_has_one_prediction_a_flight_in_the_order_of_the_flights(stack: Stack) -> None:
    for day in PREDICTED:
        with (stack.flights / f"raw/{day}/data.csv").open(newline="") as file:
            flights = sum(1 for _ in csv.DictReader(file))
        with (stack.flights / f"predictions/{day}/predictions.csv").open(newline="") as file:
            predictions = list(csv.DictReader(file))

        assert len(predictions) == flights
        for row in predictions:
            assert float(row["probability_0"]) + float(row["probability_1"]) == pytest.approx(1)


def test_each_day_is_predicted_by_a_copy_of_the_model_in_production(stack: Stack) -> None:
    models = {day: stack.manifest(f"predictions/{day}")["model"] for day in PREDICTED}

    assert models == {
        day: {"path": f"production/{day}", "name": "flights", "version": "1"} for day in PREDICTED
    }


def test_every_published_file_is_as_its_manifest_says(stack: Stack) -> None:
    manifests = stack.manifests()

    # Days; what each training published, the first also its promotion and the standby copy, the
    # second its champion; model, features, predictions and report of each predicted day.
    assert len(manifests) == 23 + 2 * 6 + 2 + 1 + 6 * 4
    for directory, text in manifests.items():
        for name, expected in json.loads(text)["outputs"].items():
            content = (stack.flights / directory / name).read_bytes()

            assert hashlib.sha256(content).hexdigest() == expected["sha256"], (directory, name)


def test_a_prediction_leads_back_to_the_raw_data_that_its_model_learned_from(stack: Stack) -> None:
    shown = stack.run("scripts/lineage", "flights/predictions/2013-01-14", "--json").stdout
    days = {f"raw/2013-01-{n:02}" for n in range(1, 15)}  # and the day itself

    assert days == set(re.findall(r"raw/2013-01-\d\d", shown))


def test_every_stage_ran_in_a_container_of_its_own_image_and_none_is_left(stack: Stack) -> None:
    ids = {json.loads(text)["image_id"] for text in stack.manifests().values()}

    assert len(ids) == 6  # replay, preprocess, train, predict, registry, monitor
    project = stack.run("docker", "compose", "config", "--format=json").stdout
    assert stack.containers(f"label=microstage.install={json.loads(project)['name']}") == []


def test_running_the_demo_again_repeats_nothing(stack: Stack) -> None:
    before = stack.manifests()

    stack.run("scripts/demo")

    assert before == stack.manifests()


def test_the_demo_changes_no_file_of_the_project(stack: Stack) -> None:
    assert stack.changes() == stack.before


def test_a_swapped_image_serves_the_next_task_with_nothing_restarted(stack: Stack) -> None:
    image, day = "microstage/monitor:end-to-end-test", "2013-01-16"
    label = 'FROM microstage/monitor:1.0.0\nLABEL swapped="yes"\n'
    subprocess.run(["docker", "build", "-qt", image, "-"], input=label, text=True, check=True)
    new_id = present(image).id
    services = stack.run("docker", "compose", "ps", "--quiet").stdout.split()
    started = stack.run("docker", "inspect", "--format={{.State.StartedAt}}", *services)
    table, before = stack.flights_file.read_text(), stack.manifest(f"reports/{day}")

    swap = stack.run("scripts/swap_stage", "--pipeline", "flights", "monitor", image)
    # Its name means something else from now on; what is pinned does not.
    stack.run("docker", "tag", "microstage/generate:1.0.0", image)
    (stack.flights / f"reports/{day}").rename(stack.flights / "earlier")
    stack.run(*RUN_DATES)
    after = stack.manifest(f"reports/{day}")
    rollback = stack.run("scripts/swap_stage", "--pipeline", "flights", "monitor", "--rollback")

    assert "it keeps the contract" in swap.stdout
    assert "monitor: duration" in swap.stdout
    assert (after["image"], after["image_id"]) == (f"{image}@{new_id}", new_id)
    assert before["outputs"] == after["outputs"]
    again = stack.run("docker", "inspect", "--format={{.State.StartedAt}}", *services)
    assert started.stdout == again.stdout
    assert "filled by microstage/monitor:1.0.0 again" in rollback.stdout
    assert table == stack.flights_file.read_text()
    assert (
        len(
            stack.run(
                "scripts/swap_stage", "--pipeline", "flights", "--history"
            ).stdout.splitlines()
        )
        == 2
    )


def test_an_image_of_another_kind_is_refused_and_changes_nothing(stack: Stack) -> None:
    table = stack.table.read_text()

    swap = stack.run("scripts/swap_stage", "train", "microstage/generate:1.0.0", check=False)

    assert swap.returncode == 1
    assert "train is still filled by microstage/train:1.0.0" in swap.stderr
    assert table == stack.table.read_text()


def test_truncated_data_fails_with_the_stages_own_sentence_and_keeps_what_was_there(
    stack: Stack,
) -> None:
    data = stack.flights / "raw/2013-01-16/data.csv"
    whole, predictions = data.read_bytes(), stack.manifest("predictions/2013-01-16")

    try:
        data.write_bytes(whole[: len(whole) // 2])
        (stack.flights / "predictions/2013-01-16").rename(stack.flights / "kept")
        done = stack.run(*RUN_DATES, check=False)
    finally:
        (stack.flights / "kept").rename(stack.flights / "predictions/2013-01-16")
        data.write_bytes(whole)

    assert done.returncode == 1
    assert "2013-01-16/data.csv" in done.stderr
    assert "row" in done.stderr
    assert predictions == stack.manifest("predictions/2013-01-16")


def test_without_an_engine_the_same_chain_runs_as_processes(tmp_path: Path) -> None:
    clone_to(tmp_path)
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"}

    demo = subprocess.run(
        [tmp_path / "scripts/demo"], env=environment, capture_output=True, text=True, check=False
    )

    assert demo.returncode == 0, demo.stderr
    assert "No Docker Engine: DOCKER_HOST is unix:///nowhere/docker.sock" in demo.stderr
    manifest = json.loads(
        (tmp_path / f"data/flights/predictions/{PREDICTED[0]}/manifest.json").read_text()
    )
    assert manifest["image_id"].startswith("venv:")


def test_a_prediction_waits_for_its_data_without_holding_a_slot(stack: Stack) -> None:
    airflow, day = stack.airflow("flights"), dt.date(2013, 1, 24)
    run = airflow.trigger("predict", day, {})

    def state(task: str) -> str:
        return str(airflow.call("GET", f"{run}/taskInstances/{task}")["state"])

    wait_until(lambda: state("wait_for_data") == "deferred")
    airflow.run("generate_data", [day], {})
    wait_until(lambda: airflow.call("GET", run)["state"] == "success")

    assert stack.manifest(f"predictions/{day}")["sources"]["model"] == f"production/{day}"
