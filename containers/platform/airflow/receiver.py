"""Where OpenLineage's events go to: `python3 receiver.py airflow api-server` starts that with it.

Airflow's provider loads nothing but its own settings where it finds no address. MICROSTAGE_LINEAGE
is one, or "none"; what is set here is set for it alone, so that nobody else has to know "none".
"""

import json
import os
import sys
from collections.abc import Mapping

# Seconds that a task waits for a receiver at its start and at its end, where one is slow or silent.
# An address at which nobody listens is tried twice, which takes less than one.
PATIENCE = 2


def settings(given: Mapping[str, str]) -> dict[str, str]:
    """Return what Airflow's provider is to find in its environment; {} without a receiver."""
    address = given.get("MICROSTAGE_LINEAGE", "none")
    if address in {"", "none"}:
        return {}
    transport = {
        "type": "http",
        "url": address,
        "timeout": PATIENCE,
        "retry": {"total": 1, "connect": 1, "read": 0},
    }
    return {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": given.get("MICROSTAGE_INSTALL", "microstage"),
        # In a fork it would have the task's connection to its supervisor, and so could keep the
        # task from ever ending: the words of the provider's own reference on this setting.
        "AIRFLOW__OPENLINEAGE__EXECUTE_IN_THREAD": "true",
        "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": str(PATIENCE + 1),  # what is read for it, too
        "AIRFLOW__OPENLINEAGE__DISABLE_SOURCE_CODE": "true",
    }


if __name__ == "__main__":
    os.environ.update(settings(os.environ))
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the command that it was given
