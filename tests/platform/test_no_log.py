"""A task that can write no log: why it failed is said all the same, and the next start mends it."""

import datetime as dt

import pytest
from images import VERSION
from stack import Stack, docker

from microstage.errors import StageError

DAY = dt.date(2013, 4, 1)


def test_why_a_task_failed_is_said_also_when_it_has_no_log(stack: Stack) -> None:
    volume = f"--volume={stack.project}_airflow-logs:/volume"
    image = ["--user=0", "--entrypoint=bash", f"microstage/postgres:{VERSION}", "-c"]
    docker(
        "run",
        "--rm",
        "--network=none",
        volume,
        *image,
        "chown -R 4321:4321 /volume && chmod -R go-w,go+rX /volume",
    )
    airflow = stack.airflow("flights")
    try:
        with pytest.raises(
            StageError, match=r"task generate: it could not be begun, and has no log: "
        ):
            airflow.run("generate_data", [DAY], {})
    finally:
        # Whose the logs are is seen at each start.
        stack.run("docker", "compose", "up", "--wait")
    airflow.run("generate_data", [DAY], {})

    assert (stack.flights / f"raw/{DAY}/manifest.json").exists()
