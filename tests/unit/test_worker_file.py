"""A worker host's services are those of the control host, but for what is said to be different."""

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types, and is asked for values alone

ROOT = Path(__file__).resolve().parents[2]
OWN = {"depends_on", "networks", "profiles", "secrets", "environment", "command", "volumes", "user"}
# What a host says otherwise; on one machine the guard ends nothing by itself, and nobody waits.
OTHERWISE = {
    "AIRFLOW_PARALLELISM",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__EDGE__API_URL",
    "MICROSTAGE_HOST_DATA",
    "MICROSTAGE_LINEAGE",  # which a worker.env of before has not
    "PYTHONPATH",  # what lets people log in is the control host's
}


def services(file: str) -> dict[str, Any]:
    """Return the services of a compose file."""
    found: dict[str, Any] = yaml.safe_load((ROOT / file).read_text())["services"]
    return found


@pytest.mark.parametrize("name", ["guard", "worker"])
def test_a_service_of_both_files_has_the_same_image_walls_and_limits(name: str) -> None:
    here, there = services("docker-compose.yml")[name], services("worker.yml")[name]

    assert {k: v for k, v in here.items() if k not in OWN} == {
        k: v for k, v in there.items() if k not in OWN
    }
    assert {"read_only", "cap_drop", "security_opt", "image", "healthcheck"} <= here.keys() - OWN


@pytest.mark.parametrize("name", ["guard", "worker"])
def test_what_both_files_set_for_a_service_is_the_same(name: str) -> None:
    here, there = (services(f)[name]["environment"] for f in ("docker-compose.yml", "worker.yml"))
    both = here.keys() & there.keys() - OTHERWISE

    assert {key: here[key] for key in both} == {key: there[key] for key in both}
    assert len(both) >= 4


def test_a_worker_host_listens_on_nothing_and_has_no_other_service() -> None:
    found = services("worker.yml")

    assert {"secrets", "guard", "worker"} == found.keys()
    assert not [name for name, each in found.items() if "ports" in each]
