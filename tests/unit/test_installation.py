"""What holds of a checkout and of the .env that is made from it, without Docker."""

import os
import re
import shutil
import socket
import stat
import subprocess
import tomllib
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml  # type: ignore[import-untyped]  # has no types, and is asked for values alone
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from support.settings import read_env

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/make_env", tmp_path / "scripts")
    shutil.copy(ROOT / ".env.example", tmp_path)
    return tmp_path


def make_env(checkout: Path) -> dict[str, str]:
    subprocess.run([checkout / "scripts/make_env"], check=True, capture_output=True)
    lines = (checkout / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("file", ["docker-compose.yml", "dags/stages.toml"])
def test_images_are_named_with_the_projects_version(file: str) -> None:
    built = {path.parent.name for path in ROOT.glob("containers/**/Dockerfile")}
    named = re.findall(r"microstage/(\w+):([\w.]+)", (ROOT / file).read_text())

    assert {VERSION} == {version for image, version in named if image in built}


def test_a_lock_names_no_place_to_download_from() -> None:
    locks = [*ROOT.glob("containers/**/requirements.txt"), ROOT / "tests/requirements.txt"]

    assert len(locks) > 5
    assert [str(lock) for lock in locks if "://" in lock.read_text()] == []


def test_packages_that_stages_share_have_one_version() -> None:
    versions: dict[str, set[str]] = {}
    for lock in ROOT.glob("containers/*/requirements.txt"):
        pins = re.findall(r"(?m)^([\w.-]+)==(\S+)((?: ;[^\\\n]*)?)", lock.read_text())
        for name, version, marker in pins:
            versions.setdefault(f"{name}{marker}".strip(), set()).add(version)

    assert versions
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_an_env_is_for_its_owner_alone_and_has_every_setting(checkout: Path) -> None:
    settings = make_env(checkout)

    assert stat.S_IMODE((checkout / ".env").stat().st_mode) == 0o600
    assert [name for name, value in settings.items() if not value] == []


def test_the_guards_folder_is_for_the_group_that_may_use_docker(checkout: Path) -> None:
    settings = make_env(checkout)
    folder = Path(settings["GUARD_SOCKET"]).parent

    assert checkout / ".guard" == folder
    if os.geteuid() == 0 or int(settings["DOCKER_GID"]) in os.getgroups():
        assert 0o2770 == stat.S_IMODE(folder.stat().st_mode)
        assert int(settings["DOCKER_GID"]) == folder.stat().st_gid


def test_a_new_env_leaves_ports_alone_that_are_taken(checkout: Path) -> None:
    example = checkout / ".env.example"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        text = example.read_text().replace("AIRFLOW_PORT=8080", f"AIRFLOW_PORT={port}")
        # The next one is another service's.
        example.write_text(text.replace("MAIL_PORT=8025", f"MAIL_PORT={port + 1}"))
        settings = make_env(checkout)

    ports = [int(value) for name, value in settings.items() if name.endswith("_PORT")]
    assert port not in ports
    assert int(settings["AIRFLOW_PORT"]) > port
    assert 6 == len(set(ports))


def test_two_installations_share_no_secret(checkout: Path) -> None:
    first = make_env(checkout)
    (checkout / ".env").unlink()
    second = make_env(checkout)

    secrets = [name for name in first if re.search("PASSWORD|KEY|SECRET", name)]
    secrets.remove("OIDC_CLIENT_SECRET")  # the issuer's
    secrets.remove("WORKERS_TLS_KEY")  # drawn when there are workers
    assert len(secrets) == 10
    assert [name for name in secrets if first[name] == second[name]] == []
    assert first["INSTALLATION_ID"] != second["INSTALLATION_ID"]


def test_what_is_secret_is_in_a_file_each_that_its_owner_alone_can_get_at(checkout: Path) -> None:
    settings = make_env(checkout)
    folder = checkout / ".secrets"
    files = {path.name: path.read_text() for path in folder.iterdir()}

    secrets = {k: v for k, v in settings.items() if re.search("_(PASSWORD|KEY|SECRET|CERT)$", k)}
    keys = {name for name, text in files.items() if text.startswith("-----BEGIN ")}
    assert {"AIRFLOW_SIGNING_KEY", "WORKERS_TLS_KEY", "WORKERS_TLS_CERT"} == keys
    assert secrets == {
        name: text.splitlines()[1] if name in keys else text
        for name, text in files.items()
        if name in secrets
    }
    assert {"ALERT_SMTP", "ALERT_URL"} == files.keys() - secrets.keys()
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    # The owners of the containers that are given one are others.
    assert {0o644} == {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    owners = {path.stat().st_uid for path in (folder, *folder.iterdir(), checkout / ".env")}
    assert {int(settings["MICROSTAGE_UID"])} == owners


@pytest.mark.parametrize("line", ["{}='{}'", '{}="{}"', "export {}={}", "{}={}"])
def test_a_secret_that_was_changed_gets_into_the_same_file(checkout: Path, line: str) -> None:
    value = "a $word with 'all' #\\&/ in it"
    make_env(checkout)
    file, env = checkout / ".secrets/POSTGRES_PASSWORD", checkout / ".env"
    before = file.stat().st_ino
    changed = line.format("POSTGRES_PASSWORD", value)
    text = re.sub(r"(?m)^POSTGRES_PASSWORD=.*$", lambda _: changed, env.read_text())
    env.write_text(text)
    subprocess.run([checkout / "scripts/make_env", "--secrets"], check=True)

    assert value == file.read_text() == read_env(checkout)["POSTGRES_PASSWORD"]
    assert before == file.stat().st_ino
    assert text == env.read_text()


def test_an_env_that_lacks_nothing_stays_as_it_is(checkout: Path) -> None:
    make_env(checkout)
    env = checkout / ".env"
    env.write_text(
        env.read_text().replace("AIRFLOW_PORT=8080", "AIRFLOW_PORT=80  # mine") + "MINE=1"
    )
    before = env.read_bytes()
    make_env(checkout)

    assert before == env.read_bytes()


def test_an_env_of_an_older_version_gets_what_it_lacks_and_keeps_what_it_has(
    checkout: Path,
) -> None:
    full = make_env(checkout)
    env = checkout / ".env"
    lines = [line for line in env.read_text().splitlines() if not line.startswith("MLFLOW_")]
    older = "\n".join(lines)  # without an end to its last line, as an editor may leave it
    env.write_text(older)
    done = subprocess.run(
        [checkout / "scripts/make_env"], check=True, capture_output=True, text=True
    )
    newer = make_env(checkout)

    assert set(full) == set(newer)
    assert env.read_text().startswith(older + "\n")
    added = re.findall(r"MLFLOW_\w+", done.stdout)
    assert [name for name in full if name.startswith("MLFLOW_")] == added
    assert [name for name in added if not newer[name]] == []
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert "# MLflow, on this machine only" in env.read_text().removeprefix(older)


def test_the_compose_file_uses_every_setting_and_no_other(checkout: Path) -> None:
    files = ("docker-compose.yml", "docker-compose.workers.yml")
    used = set(re.findall(r"\$\{(\w+)", "".join((ROOT / file).read_text() for file in files)))

    assert set(make_env(checkout)) == used | {"COMPOSE_PROFILES"}  # which is compose's own


def test_what_signs_tokens_is_an_ed25519_key(checkout: Path) -> None:
    make_env(checkout)
    key = load_pem_private_key((checkout / ".secrets/AIRFLOW_SIGNING_KEY").read_bytes(), None)

    assert isinstance(key, Ed25519PrivateKey)


def test_the_env_of_a_worker_host_gets_what_is_its_own_and_no_more(checkout: Path) -> None:
    share = checkout / "share"
    text = f"COMPOSE_FILE=worker.yml\nMICROSTAGE_DATA={share}\nMICROSTAGE_UID={os.getuid()}\n"
    text += f"MICROSTAGE_GID={os.getgid()}\nAIRFLOW_WORKER_SECRET=known\nWORKER_NAME=far\n"
    own = ("WORKER_SLOTS", "DOCKER_SOCKET", "DOCKER_GID", "GUARD_SOCKET")
    (checkout / ".env").write_text(text + "".join(f"{name}=\n" for name in own))
    settings = make_env(checkout)
    files = {path.name for path in (checkout / ".secrets").iterdir()}

    assert (checkout / ".env").read_text().startswith(text)
    assert all(settings[name] for name in own)
    assert int(settings["WORKER_SLOTS"]) >= 1
    assert {"AIRFLOW_WORKER_SECRET"} == files
    assert not share.exists(), "it is the control host's, and not mounted yet"
    again = make_env(checkout)
    assert settings == again


def test_the_worker_file_uses_every_setting_that_a_worker_host_gets(checkout: Path) -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "worker.yml").read_text()))
    script = (ROOT / "scripts/make_env").read_text()
    written = script[
        script.index("# For a worker host, as its .env.") : script.index(">worker.env")
    ]

    assert {name for name in used if not re.search(rf"\b{name}\b", written)} == set()


def test_the_time_zone_is_one(checkout: Path) -> None:
    zone = make_env(checkout)["TIME_ZONE"]

    assert zone == ZoneInfo(zone).key


def test_containers_never_run_as_root(checkout: Path) -> None:
    settings = make_env(checkout)

    assert settings["MICROSTAGE_UID"] != "0"


@pytest.mark.parametrize("script", ["build_images.sh", "scripts/demo", "scripts/test"])
def test_a_script_tells_its_usage(script: str) -> None:
    done = subprocess.run([ROOT / script, "--help"], capture_output=True, text=True, check=True)

    assert "usage: " in done.stdout
    assert Path(script).name in done.stdout


def test_the_list_of_images_is_the_folders() -> None:
    command = [str(ROOT / "build_images.sh"), "--list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    folders = {path.parent.name for path in ROOT.glob("containers/*/Dockerfile")}
    assert set(listed[1::2]) - folders == {
        *["airflow", "gateway", "guard", "mail", "mlflow", "postgres", "serve"]
    }
    assert folders <= set(listed[1::2])


def test_an_image_that_does_not_exist_is_named() -> None:
    command = [str(ROOT / "build_images.sh"), "trian"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 64
    assert "there is no image 'trian'" in done.stderr


def test_a_service_that_is_dead_is_seen_within_a_minute() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    once = {"owner", "secrets", "airflow-init"}
    late = {"scheduler": 30, "dag-processor": 30, "triggerer": 30}  # heartbeats, as Airflow has it
    seconds = {}
    for name in services.keys() - once:
        check = services[name]["healthcheck"]
        every, patience = (int(check[key].removesuffix("s")) for key in ("interval", "timeout"))
        seconds[name] = late.get(name, 0) + check["retries"] * (every + patience)

    assert {} == {name: most for name, most in seconds.items() if most > 60}
    assert {"no"} == {services[name]["restart"] for name in once}
