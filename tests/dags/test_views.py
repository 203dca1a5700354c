"""The reports are a page of Airflow's UI, by a plugin that is in Airflow's image."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

AIRFLOW = Path(__file__).resolve().parents[2] / "containers/platform/airflow"
LOOK = """
import json
from airflow.api_fastapi.core_api.datamodels.plugins import PluginResponse
from airflow.plugins_manager import get_import_errors, get_plugin_info

[ours] = [info for info in get_plugin_info() if info["name"] == "microstage"]
view, = PluginResponse.model_validate(ours).external_views
print(json.dumps([view.model_dump(), dict(get_import_errors())]))
"""


def test_the_api_server_loads_the_plugin_and_its_view_leads_to_the_reports(tmp_path: Path) -> None:
    shutil.copy(AIRFLOW / "views.py", tmp_path)
    environment = {
        **os.environ,
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path),
        "MICROSTAGE_REPORTS_URL": "http://localhost:9082",
    }
    said = subprocess.run(
        [sys.executable, "-c", LOOK], env=environment, check=True, capture_output=True, text=True
    )
    view, errors = json.loads(said.stdout.splitlines()[-1])

    assert {} == errors
    assert {
        "name": "Reports",
        "href": "http://localhost:9082/",
        "url_route": "reports",
        "destination": "nav",
    } == {key: view[key] for key in ("name", "href", "url_route", "destination")}
