"""Unit tests import the modules of dags/ as Airflow does: by their plain names."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dags"))
