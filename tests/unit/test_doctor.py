"""What scripts/doctor finds without an engine: each finding is caused here."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from unit_harness import another_user, folder_for_all

from support import doctor_engine, doctor_files, doctor_machine, doctor_tasks
from support.doctor import CHECKS, Check, examine
from support.findings import Finding, Installation, UnseenError

from microstage.images import Image, name_of_pin
from microstage.pipelines import table_path
from microstage.walls import CONTRACT, CONTRACT_LABEL

ROOT = Path(__file__).resolve().parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give and mount things")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone that was made ready, as far as the checks of files look; no engine is asked."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/make_env", tmp_path / "scripts")
    shutil.copy(ROOT / ".env.example", tmp_path)
    subprocess.run([tmp_path / "scripts/make_env"], check=True, capture_output=True)
    return tmp_path


def change(checkout: Path, **settings: object) -> Installation:
    env = checkout / ".env"
    text = env.read_text()
    for name, value in settings.items():
        text = re.sub(rf"(?m)^{name}=.*$", f"{name}={value}", text)
    env.write_text(text)
    return Installation(checkout)


def found(check: Callable[[Installation], Iterator[Finding]], at: Installation | Path) -> list[str]:
    """Return each finding as the line that it is."""
    installation = at if isinstance(at, Installation) else Installation(at)
    return [f"{each.what}; {each.mend}" for each in check(installation)]


def one(check: Callable[[Installation], Iterator[Finding]], at: Installation | Path) -> str:
    lines = found(check, at)
    assert len(lines) == 1, lines
    return lines[0]


# --- settings


def test_there_is_nothing_to_say_of_a_checkout_that_was_made_ready(checkout: Path) -> None:
    assert [] == found(doctor_files.settings, checkout)
    assert [] == found(doctor_files.secrets, checkout)


def test_no_env(checkout: Path) -> None:
    (checkout / ".env").unlink()

    assert f"there is no {checkout}/.env; make it: scripts/make_env" == one(
        doctor_files.settings, checkout
    )


def test_a_setting_that_is_not_there_and_one_that_is_empty(checkout: Path) -> None:
    text = change(checkout, MICROSTAGE_GID="").root.joinpath(".env").read_text()
    (checkout / ".env").write_text(re.sub(r"(?m)^AIRFLOW_PORT=.*\n", "", text))

    assert "/.env has no MICROSTAGE_GID, AIRFLOW_PORT; " in one(doctor_files.settings, checkout)


def test_an_env_that_others_may_read(checkout: Path) -> None:
    (checkout / ".env").chmod(0o644)

    assert "for others, too (644); chmod 600 " in one(doctor_files.settings, checkout)


def test_a_time_zone_that_is_none(checkout: Path) -> None:
    said = one(doctor_files.settings, change(checkout, TIME_ZONE="Europe/Atlantis"))

    assert "TIME_ZONE in .env is no time zone: Europe/Atlantis" in said


# --- disk, ports, clock


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a file system of memory with these options."""
    mounted = []

    def mount(options: str) -> Path:
        folder = tmp_path / options.replace(",", "-")
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


@as_root
def test_a_disk_that_is_full(checkout: Path, full: Callable[[str], Path]) -> None:
    folder = full("size=8m")
    (folder / "data").write_bytes(bytes(6_000_000))
    said = one(doctor_machine.disk, change(checkout, MICROSTAGE_DATA=folder))

    assert re.match(rf"the data folder {folder} has [12] MB left; make room there", said)


@as_root
def test_a_disk_without_room_for_files(checkout: Path, full: Callable[[str], Path]) -> None:
    folder = full("size=4g,nr_inodes=50")
    installation = change(checkout, MICROSTAGE_DATA=folder)
    said = one(doctor_machine.disk, installation)

    assert re.match(rf"the data folder {folder} has room for \d\d more files; ", said)


def test_a_port_that_another_process_has(checkout: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        said = one(doctor_machine.ports, change(checkout, MAIL_PORT=port))

    assert f"port {port} (MAIL_PORT) is taken by another process; set another MAIL_PORT" in said
    assert [] == found(doctor_machine.ports, checkout)


def test_a_port_for_two_and_one_that_is_none(checkout: Path) -> None:
    installation = change(checkout, MAIL_PORT="many")
    same = installation.settings["AIRFLOW_PORT"]
    lines = found(doctor_machine.ports, change(checkout, MLFLOW_PORT=same))

    assert f"MLFLOW_PORT and AIRFLOW_PORT in .env are both {same}; " in lines[0]
    assert "MAIL_PORT in .env is 'many', which is no port; " in lines[1]


def test_data_from_the_future(checkout: Path) -> None:
    day = checkout / "data/raw/2013-01-06"
    day.mkdir(parents=True)
    assert [] == found(doctor_machine.clock, checkout)
    os.utime(day, (time.time() + 7200,) * 2)

    assert f"{day} is from the future (" in one(doctor_machine.clock, checkout)


# --- whose things are


def published(checkout: Path) -> Path:
    folder = checkout / "data/models/2013-01-06"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return folder


def of_files(checkout: Path, **settings: object) -> Installation:
    """Return it with a socket of the test's own for the engine's."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(checkout / "d.sock"))
    listener.close()  # the file stays
    gid = (checkout / "d.sock").stat().st_gid
    installation = change(checkout, DOCKER_SOCKET=checkout / "d.sock", DOCKER_GID=gid, **settings)
    subprocess.run([checkout / "scripts/make_env"], check=True, capture_output=True)
    return installation


@as_root
def test_data_of_another_owner(checkout: Path) -> None:
    folder, installation = published(checkout), of_files(checkout)
    uid, gid = (installation.number(f"MICROSTAGE_{kind}") for kind in ("UID", "GID"))
    for path in (folder, folder.parent):
        os.chown(path, uid, gid)
    assert [] == found(doctor_files.permissions, installation)
    os.chown(folder, 4321, 4321)

    said = one(doctor_files.permissions, installation)
    assert f"{folder} in the data folder is not of MICROSTAGE_UID, {uid}; " in said
    assert f"chown -R {uid}:{gid} {checkout}/data" in said


@as_root
def test_what_a_person_has_put_there_may_be_the_persons(checkout: Path) -> None:
    day = checkout / "data/raw/2013-01-06"
    day.mkdir(parents=True)
    os.chown(day, 4321, 4321)

    assert [] == found(doctor_files.permissions, of_files(checkout))


def test_no_data_folder(checkout: Path) -> None:
    installation = of_files(checkout)
    (checkout / "data").rmdir()

    assert "there is no data folder" in one(doctor_files.permissions, installation)


def test_a_guards_folder_that_is_not_for_the_group(checkout: Path) -> None:
    installation = of_files(checkout)
    (checkout / ".guard").chmod(0o755)

    said = one(doctor_files.permissions, installation)
    assert "/.guard is not for the group" in said
    assert "chmod 2770" in said
    (checkout / ".guard").rmdir()
    assert "there is no folder" in one(doctor_files.permissions, installation)


def test_a_socket_of_another_group_and_none(checkout: Path) -> None:
    installation = of_files(checkout)
    gid = installation.number("DOCKER_GID")
    if os.geteuid() == 0:
        os.chown(checkout / "d.sock", -1, 4321)
        said = one(doctor_files.permissions, installation)
        assert f"is of the group 4321, and DOCKER_GID in .env is {gid}; set DOCKER_GID=4321" in said
    (checkout / "d.sock").unlink()
    assert "is no socket, so the guard reaches no engine" in one(
        doctor_files.permissions, installation
    )


# --- secrets


def test_secrets_that_are_not_as_they_should_be(checkout: Path) -> None:
    folder = checkout / ".secrets"
    (folder / "ALERT_URL").unlink()
    (folder / "POSTGRES_PASSWORD").write_text("another")
    (folder / "MLFLOW_SECRET_KEY").chmod(0o600)
    lines = "\n".join(found(doctor_files.secrets, checkout))

    assert 3 == len(lines.splitlines())
    assert "there is no " in lines
    assert "POSTGRES_PASSWORD is not what POSTGRES_PASSWORD in .env says; scripts/make_env" in lines
    assert "MLFLOW_SECRET_KEY has the mode 600, and services need 644; " in lines
    assert "another" not in lines
    # As it says, so it is mended.
    subprocess.run([checkout / "scripts/make_env"], check=True, capture_output=True)
    assert [] == found(doctor_files.secrets, checkout)


def test_a_folder_of_secrets_for_others(checkout: Path) -> None:
    folder = checkout / ".secrets"
    folder.chmod(0o755)
    assert f"{folder} is not for its owner alone (755); chmod 700" in one(
        doctor_files.secrets, checkout
    )
    folder.chmod(0o700)
    installation = change(checkout, MICROSTAGE_UID=4321)
    assert "and MICROSTAGE_UID is 4321; as root: " in one(doctor_files.secrets, installation)
    shutil.rmtree(folder)
    assert "there is no " in one(doctor_files.secrets, checkout)


# --- engine


def test_what_is_pinned_where_images_are_in_containerd_has_a_name_that_keeps_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = f"sha256:{64 * 'a'}"
    image = Image(pin, f"sha256:{64 * 'b'}", frozenset({pin}), {CONTRACT_LABEL: CONTRACT})
    there = {"one:1", f"one:1@{pin}"}
    table = checkout / "stages.toml"
    rows = table_path().read_text().replace("microstage/preprocess:1.0.0", f"one:1@{pin}")
    table.write_text(rows)
    monkeypatch.setenv("MICROSTAGE_STAGES", str(table))
    monkeypatch.setattr(doctor_engine, "inspected", lambda _: {})
    monkeypatch.setattr(doctor_engine, "images_of", lambda _: [])
    monkeypatch.setattr(doctor_engine, "find", lambda name: image if name in there else None)
    keep = f"docker tag one:1 {name_of_pin(pin)}"
    unkept = [line for line in found(doctor_engine.images, checkout) if "one:1" in line]
    there.add(name_of_pin(pin))
    kept = [line for line in found(doctor_engine.images, checkout) if "one:1" in line]

    assert len(unkept) == 1
    assert (
        f"one:1 is gone as soon as it is built anew, and is pinned as {12 * 'a'}; {keep}"
        in (unkept[0])
    )
    assert [] == kept


def test_no_docker_command(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))

    assert "there is no command docker; " in one(doctor_engine.engine, checkout)


@pytest.mark.parametrize(
    ("version", "least", "below"),
    [("1.41", "1.45", True), ("1.100", "1.45", False), ("2.20.2", "2.20.2", False)],
)
def test_versions_are_numbers(version: str, least: str, *, below: bool) -> None:
    assert below == doctor_engine.older(version, least)


# --- tasks, and the whole


def test_where_airflow_is_not_there_no_task_is_stuck(checkout: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # and does not listen
        installation = change(checkout, AIRFLOW_PORT=listener.getsockname()[1])
        with pytest.raises(UnseenError, match="Airflow does not answer"):
            list(doctor_tasks.stuck(installation))


def test_workers_that_are_silent_and_queues_that_none_has_are_found(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [
        {"worker_name": "one", "state": "idle", "queues": ["workers"]},
        {"worker_name": "two", "state": "unknown", "queues": ["gpu"]},
    ]
    monkeypatch.setattr(doctor_tasks, "_asked", lambda *_: {"workers": known})
    table = checkout / "stages.toml"
    text = (ROOT / "dags/stages.toml").read_text()
    for stage, queue in (("train", "gpu"), ("predict", "workers")):
        text = text.replace(f"[stages.{stage}]", f'[stages.{stage}]\nqueue = "{queue}"')
    table.write_text(text)
    monkeypatch.setenv("MICROSTAGE_STAGES", str(table))
    edge = "LocalExecutor,workers:airflow.providers.edge3.executors.EdgeExecutor"

    found = [each.what for each in doctor_tasks.workers(change(checkout, AIRFLOW_EXECUTOR=edge))]
    assert "the worker two is unknown" == found[0]
    assert "stages.toml, stage train: no worker that is up has its queue, gpu" in found
    assert not any("workers" in what.rpartition(", ")[2] for what in found)
    assert [] == list(doctor_tasks.workers(change(checkout, AIRFLOW_EXECUTOR="LocalExecutor")))


def test_a_report_has_a_line_for_each_finding_and_says_what_was_not_looked_at(
    checkout: Path,
) -> None:
    (checkout / ".env").chmod(0o640)
    missing = change(checkout, MICROSTAGE_DATA="")
    checks = [check for check in CHECKS if check.name in {"settings", "secrets", "disk"}]
    report = examine(missing, checks)

    lines = list(report.lines())
    assert not report.well
    assert [True, True] == [line.startswith("settings: ") for line in lines[:2]]
    assert "disk: not looked at, as .env has no MICROSTAGE_DATA" == lines[-1]
    findings = report.json()["findings"]
    assert ["settings", "settings"] == [each["check"] for each in findings]
    assert {"check", "what", "mend"} == set(findings[0])
    assert examine(missing, [Check("secrets", doctor_files.secrets)]).well


def test_what_this_user_may_not_see_is_said_and_no_trace() -> None:
    with folder_for_all() as folder:
        (folder / "data/models").mkdir(parents=True)
        settings = "MICROSTAGE_UID=1\nMICROSTAGE_GID=1\nDOCKER_GID=1\n"
        (folder / ".env").write_text(f"{settings}MICROSTAGE_DATA={folder}/data\n")
        (folder / ".env").chmod(0o644)
        (folder / "data/models").chmod(0)
        checks = [check for check in CHECKS if check.name == "permissions"]
        with another_user() as uid:
            report = examine(Installation(folder), checks)

    assert report.well
    assert f"user {uid} may not see {folder}/data/models" in report.unseen["permissions"]


def test_the_command_ends_with_1_when_something_is_wrong(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for folder in ("scripts", "dags"):
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / folder, clone / folder, ignore=ignored)
    for file in (".env.example", "docker-compose.yml"):
        shutil.copy(ROOT / file, clone)
    command = [sys.executable, str(clone / "scripts/doctor")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)

    assert (1, "") == (said.returncode, said.stderr)
    assert f"settings: there is no {clone}/.env; make it: scripts/make_env\n" in said.stdout
    assert 1 == told.returncode
    assert "settings" == json.loads(told.stdout)["findings"][0]["check"]
    assert stat.S_IMODE((clone / "scripts/doctor").stat().st_mode) & 0o111
