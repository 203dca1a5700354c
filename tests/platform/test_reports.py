"""The reports as web pages: those who call this machine by its name see them, and nothing else."""

import http.client
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from images import VERSION, wait_for_answer
from stack import docker

Get = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def get(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Get]:
    """Ask the server for a path: get("/", host="localhost") returns status and text."""
    data = tmp_path_factory.mktemp("data")
    for day, summary in {
        "2013-01-14": {"ok": True, "roc_auc": 0.65, "model_version": "1"},
        "2013-01-15": {"ok": False, "problems": "<b>low</b>", "roc_auc": None},
    }.items():
        write(data / "reports" / day / "report.html", f"<html>report of {day}</html>")
        write(data / "reports" / day / "summary.json", json.dumps(summary))
    write(data / "reports" / "2013-01-14" / "manifest.json", "{}")
    write(data / "raw" / "2013-01-14" / "report.html", "secret")
    write(data / "flights" / "reports" / "2013-02-01" / "report.html", "<html>flights</html>")
    write(data / "flights" / "raw" / "2013-02-01" / "report.html", "secret")
    data.chmod(0o755)
    command = ["uvicorn", "--app-dir=/opt/reports", "--host=0.0.0.0", "reports:app"]
    container = docker(
        *("run", "--detach", "--read-only", "--cap-drop=ALL", "--publish=127.0.0.1::8000"),
        *(f"--volume={data}:/data:ro", f"--entrypoint={command[0]}"),
        *(f"microstage/airflow:{VERSION}", *command[1:]),
    )
    port = int(docker("port", container, "8000").rpartition(":")[2])

    def ask(path: str, host: str = "localhost") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    try:
        wait_for_answer(container, lambda: ask("/"), 30)
        yield ask
    finally:
        docker("rm", "--force", container)
        shutil.rmtree(data)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    path.write_text(text)


def test_the_list_has_the_newest_report_first_and_what_it_found(get: Get) -> None:
    status, text = get("/")

    assert status == 200
    assert text.index("2013-01-15") < text.index("2013-01-14")
    assert "all well<td>0.650<td>1" in text
    assert "&lt;b&gt;low&lt;/b&gt;<td>no labels" in text


def test_a_report_is_shown(get: Get) -> None:
    assert get("/2013-01-14/report.html") == (200, "<html>report of 2013-01-14</html>")


def test_another_pipeline_has_a_list_of_its_own_and_a_link_to_it(get: Get) -> None:
    _, default = get("/")
    status, text = get("/flights/")

    assert '<a href="/flights/">flights</a>' in default
    assert "2013-02-01" not in default
    assert status == 200
    assert '<a href="/flights/2013-02-01/report.html">2013-02-01</a>' in text
    assert "2013-01-14" not in text
    assert get("/flights/2013-02-01/report.html") == (200, "<html>flights</html>")


@pytest.mark.parametrize(
    "path",
    [
        "/raw/",
        "/nowhere/",
        "/flights/2013-02-02/report.html",
        "/raw/2013-01-14/report.html",
        "/flights/../raw/2013-01-14/report.html",
        "/..%2fflights/",
        "/%2e%2e/2013-01-14/report.html",
        "/2013-01-14/manifest.json",
        "/2013-01-16/report.html",
        "/../raw/2013-01-14/report.html",
        "/..%2fraw%2f2013-01-14/report.html",
    ],
)
def test_nothing_else_is_shown(get: Get, path: str) -> None:
    status, text = get(path)

    assert status == 404
    assert "secret" not in text


def test_another_name_for_this_machine_is_refused(get: Get) -> None:
    assert get("/", host="evil.example.org")[0] == 400
