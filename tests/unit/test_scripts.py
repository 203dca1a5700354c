"""What holds of all commands: they are arguments and printing, and there is one of each thing."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.settings import read_env, setting

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
COMMANDS = sorted(
    path
    for path in SCRIPTS.iterdir()
    if path.is_file() and path.read_text().startswith("#!/usr/bin/env python3")
)
every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda path: path.name)


@every_command
def test_a_command_is_short_and_does_its_work_elsewhere(command: Path) -> None:
    assert len(command.read_text().splitlines()) <= 100


@every_command
def test_a_command_prints_its_usage_and_refuses_what_it_does_not_know(command: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, str(command), *arguments]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    asked, wrong = run("--help"), run("--no-such-option")

    assert (0, "") == (asked.returncode, asked.stderr)
    assert asked.stdout.startswith(f"usage: scripts/{command.name}")
    assert 64 == wrong.returncode
    assert "Traceback" not in wrong.stderr


def test_a_reader_that_has_enough_gets_no_trace() -> None:
    line = f"{sys.executable} {SCRIPTS / 'run_dates'} --help | true"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)  # noqa: S602

    assert "" == done.stderr


@every_command
def test_style_is_checked_in_every_command(command: Path) -> None:
    assert f'"scripts/{command.name}"' in (ROOT / "pyproject.toml").read_text()


def test_no_module_is_loaded_from_a_command_and_one_place_starts_over() -> None:
    texts = {path: path.read_text() for path in [*COMMANDS, *SCRIPTS.glob("support/*.py")]}

    assert [] == [path for path, text in texts.items() if "SourceFileLoader" in text]
    assert ["environment.py"] == [path.name for path, text in texts.items() if "execv(" in text]
    assert ["settings.py"] == [path.name for path, text in texts.items() if '".env"' in text]


def test_modules_that_commands_share_are_small() -> None:
    sizes = {p.name: len(p.read_text().splitlines()) for p in SCRIPTS.glob("support/*.py")}

    assert {} == {name: lines for name, lines in sizes.items() if lines > 270}


def test_a_setting_is_the_environments_or_else_that_of_env(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        "# A=no\nA=one\nB='two words'\nexport C=\"x=y\"\nEMPTY=\n\nnot a setting\n"
    )
    monkeypatch.setenv("B", "from outside")

    assert {"A": "one", "B": "two words", "C": "x=y", "EMPTY": ""} == read_env(tmp_path)
    assert ["one", "from outside", ""] == [setting(n, tmp_path) for n in ("A", "B", "EMPTY")]
    assert {} == read_env(tmp_path / "nowhere")


def test_the_chain_of_stages_is_that_of_the_table() -> None:
    from support.dates import PREDICT, REPORT, TRAIN, chain  # noqa: PLC0415

    from microstage.pipelines import load_pipeline  # noqa: PLC0415

    pipeline = load_pipeline()
    chains = {
        step.dag: [row.stage for row in chain(pipeline, step.goal(pipeline, alone=True))]
        for step in (TRAIN, PREDICT, REPORT)
    }

    assert ["preprocess", "split", "train", "validate"] == chains["train_model"]
    assert ["transform", "predict"] == chains["predict"]
    assert ["monitor"] == chains["monitor"]


def test_a_new_pipeline_is_valid_before_its_first_edit_and_taken_names_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from microstage.pipelines import load_pipeline, table_path  # noqa: PLC0415

    (tmp_path / "stages.toml").write_text(table_path().read_text())
    monkeypatch.setenv("MICROSTAGE_STAGES", str(tmp_path / "stages.toml"))

    def make(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, str(SCRIPTS / "new_pipeline"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr.strip().rpartition("\n")[2]

    assert (0, "") == make("churn", "--window", "30", "--model", "Customers")
    found = load_pipeline("churn")
    assert (30, "Customers", "churn") == (found.window, found.model, found.folder)
    assert found.rows.keys() == load_pipeline().rows.keys()
    for name, words in {
        "churn": "There is a pipeline churn already",
        "Churn": "'Churn' is no name for a pipeline",
        "raw": "the data folder has a directory raw of the default pipeline",
        "default": "is no name for a pipeline",
    }.items():
        code, sentence = make(name)
        assert 64 == code
        assert words in sentence
    assert 64 == make("other", "--window", "0")[0]
    assert ["churn.toml"] == [path.name for path in (tmp_path / "pipelines").iterdir()]


def test_commands_read_the_table_and_list_no_stage_themselves() -> None:
    from microstage.pipelines import load_pipeline  # noqa: PLC0415

    rows = set(load_pipeline().rows)
    # Verbs, kinds of files and the like are words of their own.
    common = {"train", "predict", "monitor", "generate", "split", "rollback"}
    for path in [*COMMANDS, *SCRIPTS.glob("support/*.py")]:
        constants = [
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        named = {text for text in constants if text in rows} - common
        assert not named - {"preprocess"}, (path, named)
        assert not re.search(r"\[\s*\"preprocess\",\s*\"split\"", path.read_text())


def test_no_shell_command_pipes_into_one_that_may_stop_reading_first() -> None:
    """Under pipefail the writer's SIGPIPE is the pipeline's failure, once in a few hundred runs."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    early = re.compile(
        r"(?<!\|)\|\s*(\\\n\s*)?(grep\s+(-\S+\s+)*-\w*[qm]|head\b|sed\b[^|\n]*[;{]q)"
    )
    texts = {
        name: text
        for name in tracked.stdout.decode().rstrip("\0").split("\0")
        if (path := ROOT / name).is_file()
        and (text := path.read_bytes()).startswith((b"#!/usr/bin/env bash", b"#!/bin/bash"))
    }
    assert len(texts) > 5
    assert not [name for name, text in texts.items() if early.search(text.decode())]
