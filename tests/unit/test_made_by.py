"""The pages of published directories, and who may show them in a frame; without an image."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

AIRFLOW = Path(__file__).resolve().parents[2] / "containers/platform/airflow"
DAY = "2013-01-14"


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The service of the reports, of a data folder with a comparison in it."""
    monkeypatch.setenv("MICROSTAGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MICROSTAGE_AIRFLOW_URL", "http://localhost:8080")
    monkeypatch.syspath_prepend(str(AIRFLOW))
    verdict = {"verdict": "better", "reason": "By <0.01>.", "low": 0.0123456}
    model, comparison = f"flights/models/{DAY}", f"flights/models/{DAY}/comparison"
    publish(tmp_path / "data" / model, {"rows": 3}, sources={})
    sources = {"challenger": f"models/{DAY}", "champion": f"models/{DAY}/champion"}
    publish(tmp_path / "data" / comparison, verdict, sources=sources, stage="compare")
    publish(tmp_path / "data" / "raw" / DAY, {"rows": 9}, sources={})
    (tmp_path / "data/raw/mine").mkdir()
    (tmp_path / "data/raw/mine/summary.json").write_text('{"secret": 1}')
    publish(tmp_path / "outside", {"secret": 1}, sources={})
    try:
        app = importlib.import_module("reports").app
        yield TestClient(app, base_url="http://localhost")
    finally:
        for name in ("reports", "made_by"):
            sys.modules.pop(name, None)


def publish(folder: Path, summary: dict[str, Any], **manifest: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_verdict_is_shown_with_what_it_was_made_from(pages: TestClient) -> None:
    answer = pages.get(f"/made-by/flights/models/{DAY}/comparison")

    assert 200 == answer.status_code
    assert "<th>verdict<td>better" in answer.text
    assert "<td>By &lt;0.01&gt;." in answer.text
    assert "<th>low<td>0.01235" in answer.text
    assert "<th>stage<td>compare" in answer.text
    # A link where there is something; where there is nothing any more, its name.
    model = f'<a href="/made-by/flights/models/{DAY}">models/{DAY}</a>'
    assert f"<th>challenger<td>{model}" in answer.text
    assert f"<th>champion<td>models/{DAY}/champion" in answer.text
    assert 200 == pages.get(f"/made-by/flights/models/{DAY}").status_code


def test_the_default_pipeline_has_a_name_and_another_ones_data_are_not_its_own(
    pages: TestClient,
) -> None:
    assert "<th>rows<td>9" in pages.get(f"/made-by/default/raw/{DAY}").text
    assert 404 == pages.get(f"/made-by/flights/raw/{DAY}").status_code


@pytest.mark.parametrize(
    "directory",
    [
        "default/raw/mine",  # which no stage has published
        "default/../outside",
        "default/%2e%2e/outside",
        "default/raw/..%2f..%2f..%2foutside",
        "default/.tables",
        "default/",
        "default/raw//2013-01-14",
        "Flights/models/2013-01-14",
        "default/raw/%00",
        f"default/{'a' * 5000}",
    ],
)
def test_nothing_else_is_shown(pages: TestClient, directory: str) -> None:
    answer = pages.get(f"/made-by/{directory}")

    assert 404 == answer.status_code
    assert "secret" not in answer.text


@pytest.mark.parametrize("manifest", ["{", "[]", '{"sources": 3, "run": "x", "model": [1]}'])
def test_a_manifest_that_is_none_is_shown_as_far_as_it_goes(
    pages: TestClient, tmp_path: Path, manifest: str
) -> None:
    (tmp_path / f"data/raw/{DAY}/manifest.json").write_text(manifest)

    assert 200 == pages.get(f"/made-by/default/raw/{DAY}").status_code


@pytest.mark.parametrize("path", ["/", f"/made-by/default/raw/{DAY}", "/nowhere/"])
def test_airflow_alone_may_show_a_page_in_a_frame(pages: TestClient, path: str) -> None:
    policy = "frame-ancestors http://localhost:8080 http://127.0.0.1:8080"

    assert policy == pages.get(path).headers["content-security-policy"]
    assert policy == pages.get(path, headers={"host": "evil"}).headers["content-security-policy"]


def test_without_an_address_of_airflow_nobody_may(pages: TestClient) -> None:
    assert b"frame-ancestors 'none'" == importlib.import_module("reports").framing("")
