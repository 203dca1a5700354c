"""docs/ingest.md: its pipelines are valid, and name parameters and variables that there are."""

import re
import shutil
from pathlib import Path

import pytest

from microstage.jobs import resolve
from microstage.pipelines import load_pipeline, table_path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/ingest.md").read_text("utf-8")
FILES: dict[str, str] = dict(re.findall(r"(?ms)^<!-- file: (\S+) -->\n```\w+\n(.*?^)```$", PAGE))
PIPELINES = [Path(file).stem for file in FILES if file.endswith(".toml")]
STAGE = (ROOT / "containers/ingest/stage.py").read_text("utf-8")


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_of_the_page_is_valid_and_its_statement_is_found(
    tmp_path: Path, name: str
) -> None:
    table = Path(shutil.copy(table_path(), tmp_path))
    (tmp_path / "pipelines").mkdir()
    (tmp_path / f"pipelines/{name}.toml").write_text(FILES[f"dags/pipelines/{name}.toml"], "utf-8")
    pipeline = load_pipeline(name, table)
    job = resolve(pipeline, "generate", "2013-01-06")
    file = f"data/{name}/{job.sources.get('sql')}/query.sql"

    assert pipeline.rows["generate"].image.startswith("microstage/ingest:")
    assert [] == [key for key in job.params if f'Parameter("{key}"' not in STAGE]
    assert [] == [variable for variable in job.row.env if variable not in STAGE]
    assert job.params.get("query") or FILES[file]


def test_there_are_pipelines_on_files_and_on_both_kinds_of_services() -> None:
    assert ["shop", "lake", "orders"] == PIPELINES
