"""What the guard makes of a row, and of what a client asks for; without an engine."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docker.types import HostConfig, Mount
from guard.compose import LINK_LOCAL, OURS, compose, host_config
from guard.mounts import asked, check_days, check_one
from guard.refusals import RefusedError
from guard.settings import Secrets, Settings
from unit_harness import PIPELINE, ROW

from microstage.contract import Run
from microstage.data_folder import DataFolder
from microstage.errors import StageError
from microstage.images import Image
from microstage.inputs import variables
from microstage.jobs import Job, spoken, window_days
from microstage.pipelines import Pipeline
from microstage.sharing import provide
from microstage.table import Row
from microstage.walls import CONTRACT_LABEL, DAYS_LABEL, hardening, labels

ID, STORE_ID = (f"sha256:{digit * 64}" for digit in "01")
IMAGE = Image(ID, STORE_ID, frozenset({ID, STORE_ID}), {CONTRACT_LABEL: "1", DAYS_LABEL: "1"})
SETTINGS = Settings("/host/data", "7:7", 10, install="microstage", secrets={"TOKEN": "secret"})
NAMES = ["default", "flights"]
DRAWN = "abcdefgh"
DAY = "2013-01-06"


def mount(target: str, path: str) -> Mount:
    return Mount(target, f"/host/data/{path}", type="bind", read_only=not target.startswith("/out"))


def body(row: Row, mounts: list[Mount], run: Run | None = None, **changed: Any) -> dict[str, Any]:
    """Return what docker-py sends for a row."""
    run = run or Run("d", "r", row.stage)
    mounts = [*mounts, mount("/out", f".staging/{run.key}.{DRAWN}")]
    host = HostConfig(
        "1.45",
        mounts=mounts,
        **hardening(row.limits, network=row.network or "none", gpus=row.gpus),
    )
    return {
        "User": "7:7",
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "Env": ["OMP_NUM_THREADS=1"],
        "Cmd": [row.verb, "--seed", "17"],
        "Image": IMAGE.id,
        "NetworkDisabled": False,
        "HostConfig": json.loads(json.dumps(host)),
        "Labels": labels(Job(PIPELINE, row, {}, {}, ""), run, row.limits.timeout),
        **changed,
    }


def composed(row: Row, sent: dict[str, Any], pipeline: Pipeline = PIPELINE) -> dict[str, Any]:
    return compose(SETTINGS, pipeline, row, NAMES, IMAGE, sent)


def test_the_walls_are_those_that_docker_py_makes_of_them() -> None:
    expected = dict(HostConfig("1.45", **hardening(ROW.limits)))

    assert expected == host_config(ROW)


def test_a_row_has_as_many_gpus_as_it_says() -> None:
    row = replace(ROW, gpus=2)
    sent = body(row, [mount("/in/raw", "raw")])

    asked = composed(row, sent)["HostConfig"]["DeviceRequests"]
    assert [(2, [["gpu"]])] == [(each["Count"], each["Capabilities"]) for each in asked]
    with pytest.raises(RefusedError, match="another one, by HostConfig, a key that no row has"):
        composed(ROW, sent)


def test_a_container_has_directories_of_the_volume_and_the_secrets_of_its_row() -> None:
    row = replace(ROW, env=("TOKEN",))
    made = composed(row, body(row, [mount("/in/raw", "raw")]))

    assert ["OMP_NUM_THREADS=1", "TOKEN=secret"] == made["Env"]
    assert "microstage" == made["Labels"][OURS]
    assert {
        "Type": "volume",
        "Source": SETTINGS.volume,
        "Target": "/in/raw",
        "ReadOnly": True,
        "VolumeOptions": {"NoCopy": True, "Subpath": "raw"},
    } == made["HostConfig"]["Mounts"][0]
    assert "NetworkingConfig" not in made


def test_another_data_folder_has_another_volume() -> None:
    assert SETTINGS.volume.startswith("microstage_data_")
    assert SETTINGS.volume != replace(SETTINGS, data="/host/other").volume


def test_a_row_that_leads_outside_has_a_dead_link_for_link_local_addresses() -> None:
    row = replace(ROW, network="bridge")
    made = composed(row, body(row, [mount("/in/raw", "raw")]))

    assert {"bridge", LINK_LOCAL} == set(made["NetworkingConfig"]["EndpointsConfig"])


def test_a_secret_that_the_guard_lacks_is_named() -> None:
    row = replace(ROW, env=("ABSENT",))

    with pytest.raises(RefusedError, match=r"lacks ABSENT\. Here it is that of the service guard"):
        composed(row, body(row, [mount("/in/raw", "raw")]))


def test_what_a_client_sends_is_not_repeated_in_a_refusal() -> None:
    sent = body(ROW, [mount("/in/raw", "raw")], Own="of the client")
    with pytest.raises(RefusedError) as refused:
        composed(ROW, sent)

    assert "stage train: the container would be another one, by a key that no row has" in str(
        refused.value
    )


def test_a_container_says_what_another_try_has_to_know_to_take_it_over() -> None:
    sent = body(ROW, [mount("/in/raw", "raw")])
    staging = f"{Run('d', 'r', ROW.stage).key}.{DRAWN}"
    sent["Labels"] |= {"microstage.work": "0" * 64, "microstage.staging": staging}

    assert composed(ROW, sent)["Labels"].items() >= sent["Labels"].items()


@pytest.mark.parametrize(
    "marks",
    [
        {"work": "0" * 63},
        {"work": "g" * 64},
        {"work": "0" * 64, "staging": ""},
        {"work": "0" * 64, "staging": f"other.{DRAWN}"},
        {"work": "", "staging": "other"},
    ],
)
def test_it_says_so_of_no_other_directory_than_its_own(marks: dict[str, str]) -> None:
    sent = body(ROW, [mount("/in/raw", "raw")])
    sent["Labels"] |= {f"microstage.{name}": value for name, value in marks.items()}

    with pytest.raises(RefusedError, match=r"Labels, microstage\.(work|staging)"):
        composed(ROW, sent)


@pytest.mark.parametrize("asked", [2**30, 2**31, 2**31 + 7, 3 * 2**30])
def test_a_try_may_have_as_much_memory_as_the_row_says_at_most(asked: int) -> None:
    row = replace(ROW, limits=replace(ROW.limits, memory_max=3 * 2**30))
    sent = body(replace(row, limits=replace(row.limits, memory=asked)), [mount("/in/raw", "raw")])

    assert asked == composed(row, sent)["HostConfig"]["Memory"]


@pytest.mark.parametrize("asked", [2**30 - 1, 3 * 2**30 + 1, 0, -1])
@pytest.mark.parametrize("most", [0, 3 * 2**30])
def test_and_no_more_and_no_less(asked: int, most: int) -> None:
    row = replace(ROW, limits=replace(ROW.limits, memory_max=most))
    sent = body(replace(row, limits=replace(row.limits, memory=asked)), [mount("/in/raw", "raw")])

    with pytest.raises(RefusedError, match="HostConfig, Memory"):
        composed(row, sent)


def test_an_engine_that_is_guarded_has_the_secrets_itself() -> None:
    row = replace(ROW, env=("ABSENT",))

    assert {"OMP_NUM_THREADS": "1"} == variables(row, guarded=True)
    with pytest.raises(StageError, match="lacks ABSENT"):
        variables(row)


# --- mounts

READS = replace(
    ROW,
    reads={"raw": "raw/{day}", "model": "{model}", "same": "same/{ds}", "fixed": "a/b"},
    optional=("same", "fixed"),
)


def check(row: Row, *mounts: tuple[str, str], run: Run | None = None) -> None:
    """Raise RefusedError unless a container of a row may have these mounts."""
    run = run or Run("d", "r", row.stage)
    given = [mount(*each) for each in mounts]
    given.append(mount("/out", f".staging/{run.key}.{DRAWN}"))
    check_one(row, NAMES, run, asked(SETTINGS, PIPELINE, [dict(each) for each in given]))


def raw(*days: str) -> list[tuple[str, str]]:
    return [(f"/in/raw/{day}", f"raw/{day}") for day in days]


@pytest.mark.parametrize(
    "mounts",
    [
        [*raw(DAY), ("/in/model", "models/2013-01-06")],
        [*raw(DAY), ("/in/model", "production/standby"), ("/in/same", f"same/{DAY}")],
        [*raw(*window_days(DAY, 366)), ("/in/model", "m"), ("/in/fixed", "a/b")],
    ],
)
def test_what_a_rows_templates_make_of_a_day_and_a_model_may_be_mounted(mounts: Any) -> None:
    check(READS, *mounts)


@pytest.mark.parametrize(
    "mounts",
    [
        raw(DAY),  # no model
        [("/in/model", "models/x")],  # no day
        [*raw("2013-01-04", DAY), ("/in/model", "m")],  # a day less than the window
        [*raw(DAY), ("/in/model", "flights/models/x")],  # another pipeline's
        [*raw(DAY), ("/in/model", ".tables")],
        [*raw(DAY), ("/in/model", "m/../../etc")],
        [*raw("2013-02-30"), ("/in/model", "m")],
        [*raw(DAY), ("/in/model", "m"), ("/in/same", "same/2013-01-05")],  # two days of a run
        [*raw(DAY), ("/in/model", "m"), ("/in/other", "other")],
        [*raw(DAY), ("/in/model", "m"), ("/in/fixed/x", "a/b")],
        [("/in/raw", f"raw/{DAY}"), ("/in/model", "m")],
        [(f"/in/raw/{DAY}", "raw/2013-01-05"), ("/in/model", "m")],
    ],
)
def test_nothing_else_may_be_mounted(mounts: Any) -> None:
    with pytest.raises(RefusedError):
        check(READS, *mounts)


@pytest.mark.parametrize("optional", [False, True])
def test_a_day_may_be_missing_where_it_is_optional(optional: bool) -> None:
    row = replace(ROW, reads={"raw": "raw/{day}"}, optional=("raw",) if optional else ())
    mounts = raw("2013-01-02", DAY)

    if optional:
        check(row, *mounts)
    else:
        with pytest.raises(RefusedError, match="not those of a window"):
            check(row, *mounts)


def test_an_out_is_that_of_the_task_and_its_day() -> None:
    row, run = replace(ROW, reads={"raw": "raw/{ds}"}), Run("d", "r", "train", day=DAY)
    check(row, ("/in/raw", f"raw/{DAY}"), run=run)

    with pytest.raises(RefusedError):
        check(row, ("/in/raw", "raw/2013-01-05"), run=run)
    with pytest.raises(RefusedError, match="/out is one directory"):
        check_one(
            row, NAMES, run, asked(SETTINGS, PIPELINE, [dict(mount("/out", ".staging/x.abcdefgh"))])
        )


def days_of(tmp_path: Any, row: Row, days: list[str]) -> tuple[Run, list[dict[str, Any]]]:
    """Return the run and the mounts of several days in one container, as the platform has them."""
    data = DataFolder.at(tmp_path)
    run = Run("d", "r", row.stage, day=spoken(days))
    folder = tmp_path / ".staging" / f"{run.instance}-days.{DRAWN}"
    jobs = {}
    for day in days:
        sources = {name: text.replace("{ds}", day) for name, text in row.reads.items()}
        staging = tmp_path / ".staging" / f"{run.instance}-{day}.{DRAWN}"
        jobs[day] = (Job(PIPELINE, row, {}, sources, day), staging)
    places = provide(data, folder, jobs)
    return run, [
        dict(Mount(p.target, str(p.path), type="bind", read_only=p.read_only)) for p in places
    ]


def test_several_days_may_share_a_container_and_only_what_their_row_reads(tmp_path: Any) -> None:
    row = replace(ROW, reads={"raw": "raw/{ds}", "fixed": "a/b"}, optional=())
    run, mounts = days_of(tmp_path, row, window_days(DAY, 3))
    settings = replace(SETTINGS, data=str(tmp_path.resolve()))

    def check_mounts(run: Run, mounts: list[dict[str, Any]]) -> None:
        check_days(row, NAMES, run, asked(settings, PIPELINE, mounts))

    check_mounts(run, mounts)
    for number in range(len(mounts)):
        with pytest.raises(RefusedError):
            check_mounts(run, mounts[:number] + mounts[number + 1 :])
        other = {**mounts[number], "Source": f"{settings.data}/raw/2013-01-01"}
        with pytest.raises(RefusedError):
            check_mounts(run, [*mounts[:number], other, *mounts[number + 1 :]])
    with pytest.raises(RefusedError):
        check_mounts(replace(run, day=DAY), mounts)


# --- settings


def test_a_secret_is_a_file_or_else_of_the_environment_and_nobody_is_told_which_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "TOKEN").write_text("of the file\n")
    for name in ("TOKEN", "USER_NAME"):
        monkeypatch.setenv(name, "of the environment")
    secrets = Secrets(tmp_path)

    assert ("of the file", "of the environment") == (secrets["TOKEN"], secrets["USER_NAME"])
    assert secrets.get("ABSENT") is None
    assert ([], "Secrets()") == (list(secrets), repr(secrets))
