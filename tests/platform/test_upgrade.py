"""An installation of the last release, with models and a question in it, becomes one of today.

Of what is committed: it gets there by git, as CHANGELOG.md says.
"""

import datetime as dt
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from stack import ROOT, Stack, wait_until
from story import Story

from microstage.data_folder import published_files
from microstage.pipelines import DEFAULT

WAITING = dt.date(2013, 1, 20)


class Default(Story):
    """The pipeline of dags/stages.toml, which the demo of that release ran."""

    model = "microstage"

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack, DEFAULT)

    @property
    def data(self) -> Path:
        return self.stack.data


def git(*arguments: str | Path) -> str:
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, check=True)
    return done.stdout.decode().strip()


def last_release() -> str:
    """Return the commit before the one that began what CHANGELOG.md calls unreleased."""
    [*_, began] = git("log", "--format=%H", "-S## Unreleased", "--", "CHANGELOG.md").splitlines()
    return f"{began}^"


def files(data: Path) -> dict[str, tuple[int, float]]:
    """What is published: the size of each file, and when it was written."""
    found = {}
    for directory in sorted(path.parent for path in data.glob("[a-z]*/**/manifest.json")):
        for name in published_files(directory):
            status = (directory / name).stat()
            found[f"{directory.relative_to(data)}/{name}"] = status.st_size, status.st_mtime
    return found


def recorded(story: Story) -> dict[str, Any]:
    """What both databases say of runs, versions and aliases."""
    runs = story.airflow.call("GET", "/api/v2/dags/~/dagRuns?limit=100&order_by=id")["dag_runs"]
    versions = story.mlflow("GET", "model-versions/search", max_results="100")["model_versions"]
    return {
        "runs": [(run["dag_id"], run["dag_run_id"], run["state"]) for run in runs],
        "versions": sorted((each["name"], each["version"], each["source"]) for each in versions),
        "aliases": story.aliases(),
    }


class Upgraded(NamedTuple):
    """What was, what is, and where."""

    story: Story
    before: dict[str, Any]
    data: dict[str, tuple[int, float]]
    env: str


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    root = tmp_path_factory.mktemp("installation")
    git("clone", "--quiet", "--shared", "--no-checkout", ROOT, root)
    stack = Stack(root)
    stack.run("git", "checkout", "--quiet", git("rev-parse", last_release()))
    stack.settle("upgrade")
    try:
        print(stack.run("scripts/demo").stdout)
        was = recorded(Default(stack)), files(stack.data), (root / ".env").read_text()
        stack.run("git", "stash", "--quiet")
        stack.run("git", "checkout", "--quiet", git("rev-parse", "HEAD"))
        stack.run("git", "stash", "pop", "--quiet")
        stack.run("./build_images.sh")
        stack.run("docker", "compose", "up", "--detach", "--wait")
        story = Default(stack)  # logged in anew: tokens of before are another auth manager's
        wait_until(lambda: story.is_known("maintain"))
        yield Upgraded(story, *was)
    except BaseException:
        print(stack.run("docker", "compose", "logs", "--tail=60", check=False).stdout)
        raise
    finally:
        stack.take_down()
        # The images of today, should it have ended before.
        subprocess.run([ROOT / "build_images.sh"], check=True, capture_output=True)


def test_runs_models_and_what_is_published_are_those_of_before(upgraded: Upgraded) -> None:
    story = upgraded.story
    env = (story.stack.root / ".env").read_text()

    assert upgraded.before == recorded(story)
    assert upgraded.data == files(story.data)
    assert set(upgraded.env.splitlines()) <= set(env.splitlines())


def test_the_model_that_waited_is_approved_and_predicts_the_next_day(upgraded: Upgraded) -> None:
    story = upgraded.story
    answered = story.airflow.answer("train_model", WAITING, "Approve")
    run = story.airflow.find("train_model", WAITING)
    model = story.predict(WAITING + dt.timedelta(days=4))

    assert answered
    assert "success" == story.state_of(run)
    assert {"production": "2", "previous": "1"} == story.aliases()
    assert "2" == model["version"]


def test_what_was_predicted_before_can_be_repeated_and_traced(upgraded: Upgraded) -> None:
    story = upgraded.story
    day = dt.date(2013, 1, 15)
    said = story.stack.run("scripts/lineage", f"predictions/{day}").stdout
    states = story.run("monitor", day)

    assert "microstage version 1" in said
    # Nobody has asked for a training where the quality is bad.
    assert "skipped" == states.pop("retrain")
    assert {"success"} == set(states.values())


def test_all_is_well_with_it(upgraded: Upgraded) -> None:
    done = upgraded.story.stack.run("scripts/doctor", check=False)

    assert 0 == done.returncode, done.stdout
