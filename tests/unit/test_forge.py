"""What the forge runs is what a person runs, with no more rights than it takes; without a forge."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types, and is asked for values alone

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
ACTIONS = sorted(ROOT.glob(".github/actions/*/action.yml"))
COMMANDS = sorted(path for path in ROOT.glob(".ci/*"))
PINNED = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
# Who may write, and what: everybody else reads.
WRITES = {
    ("locks", "lock"): {"contents", "pull-requests", "actions"},
    ("swap", "comment"): {"pull-requests"},
    ("pages", "publish"): {"pages", "id-token"},
    ("release", "build"): {"packages"},
    ("release", "publish"): {"contents", "packages", "id-token"},
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return content


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for workflow in WORKFLOWS:
        for name, job in read(workflow)["jobs"].items():
            yield workflow.stem, name, job


def steps(path: Path) -> list[dict[str, Any]]:
    content = read(path)
    if "runs" in content:
        return list(content["runs"]["steps"])
    return [step for job in content["jobs"].values() for step in job.get("steps", [])]


every_file = pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=name_of)


def test_every_change_is_tested_as_a_person_tests_it() -> None:
    assert ".ci/run" in [step.get("run") for step in steps(ROOT / ".github/workflows/ci.yml")]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=name_of)
def test_a_workflow_may_read_unless_a_job_says_otherwise(workflow: Path) -> None:
    assert read(workflow)["permissions"] in ({}, {"contents": "read"})


def test_a_job_has_an_end_and_writes_what_it_is_there_for() -> None:
    writes = {}
    for workflow, name, job in jobs():
        assert "uses" in job or job["timeout-minutes"] <= 120
        rights = job.get("permissions", {})
        assert set(rights.values()) <= {"read", "write"}
        if written := {what for what, right in rights.items() if right == "write"}:
            writes[workflow, name] = written

    assert writes == WRITES


@every_file
def test_what_is_used_is_pinned_by_its_commit_or_here(path: Path) -> None:
    lines = [line for line in path.read_text("utf-8").splitlines() if re.search(r"\buses:", line)]
    local = [ROOT / line.split()[-1] for line in lines if "uses: ./" in line]

    assert [] == [place for place in local if not place.exists()]
    assert [] == [line for line in lines if "uses: ./" not in line and not PINNED.search(line)]


@every_file
def test_a_step_is_one_command_that_is_in_the_repository_or_of_the_machine(path: Path) -> None:
    for step in steps(path):
        command = step.get("run", "")
        own = re.match(r"\./build_images\.sh|(scripts|\.ci)/\w+", command)

        assert not re.search(r"\n|;|&&|\|\||\$\{\{", command), "a script, or the step's env"
        assert not own or os.access(ROOT / own[0], os.X_OK), command
        assert not command or own or command.split()[0] in {"docker", "gh", "cat"}, command


@every_file
def test_no_clone_keeps_the_token(path: Path) -> None:
    clones = [step for step in steps(path) if "actions/checkout@" in step.get("uses", "")]

    assert [False] * len(clones) == [step["with"]["persist-credentials"] for step in clones]


def test_a_job_that_may_write_to_a_review_runs_nothing_of_the_change() -> None:
    job = read(ROOT / ".github/workflows/swap.yml")["jobs"]["comment"]

    assert not [step for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert not [step for step in job["steps"] if re.match(r"\.|scripts", step.get("run", ""))]


def test_the_bot_looks_after_the_actions() -> None:
    [update] = read(ROOT / ".github/dependabot.yml")["updates"]

    assert "github-actions" == update["package-ecosystem"]
    assert {f"/{name_of(action.parent)}" for action in ACTIONS} | {"/"} == set(
        update["directories"]
    )


# --- the commands of it


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.name != "run"], ids=name_of)
def test_a_command_prints_its_usage_and_refuses_what_it_does_not_know(command: Path) -> None:
    asked, wrong = run(str(command), "--help"), run(str(command), "--no-such-option")

    assert (0, "") == (asked.returncode, asked.stderr)
    assert f"usage: {name_of(command)}" in asked.stdout
    assert (64, "") == (wrong.returncode, wrong.stdout)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return a repository in which every program that is called is written down, and no more."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "scripts").mkdir()
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in ("bin/gh", "bin/cosign", "scripts/release_images", "build_images.sh"):
        program = tmp_path / name
        program.write_text(
            f'#!/bin/sh\necho "{name.rpartition("/")[2]} $*" >>"{tmp_path}/called"\n'
        )
        program.chmod(0o755)
    return tmp_path


def called(root: Path, *command: str) -> list[str]:
    """Run a command there; return what it has called."""
    path = f"{root}/bin:{os.environ['PATH']}"
    place = {"REGISTRY": "example.org/team", "PATH": path, "HOME": str(root)}
    done = run(str(root / command[0]), *command[1:], **place)
    assert 0 == done.returncode, done.stderr
    file = root / "called"
    return file.read_text().splitlines() if file.exists() else []


def test_a_release_is_built_for_a_part_of_it(elsewhere: Path) -> None:
    assert ["build_images.sh --push example.org/team/arm64"] == called(
        elsewhere, ".ci/release", "build", f"v{VERSION}", "arm64"
    )


def test_a_release_is_put_together_signed_and_only_then_told(elsewhere: Path) -> None:
    lines = called(elsewhere, ".ci/release", "publish", f"v{VERSION}", "amd64", "arm64")

    assert [
        "release_images publish example.org/team --part amd64 --part arm64",
        "release_images sign example.org/team",
        "cosign sign-blob --yes --bundle images.lock.bundle images.lock",
    ] == lines[:3]
    [told] = lines[3:]
    assert told.startswith(f"gh release create v{VERSION} --verify-tag ")
    assert told.endswith(" images.lock images.lock.bundle")


def test_newer_packages_are_asked_about_if_there_are_any(elsewhere: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(elsewhere)]
    subprocess.run(["git", "init", "-q", "--bare", elsewhere / "origin"], check=True)
    (elsewhere / ".gitignore").write_text("called\norigin\nstays\n")
    (elsewhere / "stays").write_text("- containers/train stays as it is\n")
    for command in (["init", "-q"], ["remote", "add", "origin", "origin"]):
        subprocess.run([*git, *command], check=True)
    for command in (["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *command], check=True)

    assert [] == called(elsewhere, ".ci/ask", str(elsewhere / "stays"))
    (elsewhere / "pyproject.toml").write_text("changed\n")
    lines = called(elsewhere, ".ci/ask", str(elsewhere / "stays"))
    assert "- containers/train stays as it is" in lines
    assert "gh workflow run ci.yml --ref locks" == lines[-1]
    pushed = subprocess.run(
        ["git", "-C", elsewhere / "origin", "show", "locks:pyproject.toml"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "changed\n" == pushed.stdout


def test_a_tag_that_is_not_the_version_is_no_release() -> None:
    done = run(".ci/release", "build", "v0.0.1", "amd64", REGISTRY="registry.example.org")

    assert 64 == done.returncode
    assert "the tag is v0.0.1 and the version in pyproject.toml" in done.stderr


def test_a_release_without_a_place_to_put_it_says_so() -> None:
    done = run(".ci/release", "build", f"v{VERSION}", "amd64", REGISTRY="")

    assert 64 == done.returncode
    assert "the variable RELEASE_REGISTRY" in done.stderr
