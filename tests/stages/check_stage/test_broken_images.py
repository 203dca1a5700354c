"""check_stage refuses what is wrong, for the right reason and for no other."""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from docker.errors import ImageNotFound
from harness import REPOSITORY, Engine, reference
from pipeline import Pipeline

from microstage.pipelines import table_path

pytestmark = pytest.mark.images
HERE = Path(__file__).parent
SESSION = uuid.uuid4().hex[:8]  # two may share one engine
SCRIPT = REPOSITORY / "scripts" / "check_stage"
ENVIRONMENT = dict(os.environ)  # pytest changes the other while the threads below run


class Broken(NamedTuple):
    """An image with faults that do not hide one another: to check it takes as long as for one."""

    image: str
    stage: str
    faults: str  # functions of broken.py
    refused: dict[
        str, str
    ]  # the checks that refuse it, as patterns, and what each of them has seen
    target: str = "broken"  # in the Dockerfile


BROKEN = [
    Broken(
        "replay",
        "generate",
        "no_help any_parameter knows_its_user random_output ignores_full_disk",
        {
            "a_label_says_which_contract_it_keeps": "''",
            "labels_say_what_it_is": "image.title",
            "help_is_printed": "exit code 64",
            "an_unknown_parameter_is_wrong_usage": "exit code 0 instead of 64",
            "it_needs_no_writable_root": "VOLUME /var/state",
            "several_days_in_one_run_are_each_as_if_alone": "exit code 64",
            "a_day_that_fails_stops_no_other": "no /out/2013-01-06.json",
            "any_user_may_run_it": "uid 12345",
            "the_same_run_gives_the_same_bytes": "target.csv differs",
            "a_full_disk_is_no_success": "exit code 0",
        },
        "mislabelled",
    ),
    *(
        Broken("replay", "generate", faults, refused)
        for faults, refused in (
            ("never_works", {"it_runs": "exit code 1; 'no'"}),
            ("writes_elsewhere", {"it_needs_no_writable_root": "Read-only file system"}),
            ("needs_network", {"it_needs_no_network": "unreachable"}),
            ("takes_memory", {"it_stays_under_its_memory_limit": "1024 MiB"}),
            (
                "root_alone usage_2",
                {
                    "any_user_may_run_it": "as root alone",
                    "an_unknown_(verb|parameter)_is_wrong_usage": "exit code 2 instead of 64",
                },
            ),
            (
                "file_missing link_as_output clock_in_output deaf_to_sigterm",
                {
                    "declared_files_are_there": "no /out/target.csv",
                    "what_it_writes_are_files": "latest.csv is a symbolic link",
                    "the_same_run_gives_the_same_bytes": "summary.json differs",
                    "sigterm_ends_it_within_two_seconds": "still running",
                },
            ),
            ("no_summary", {"declared_files_are_there": "no /out/summary.json"}),
            (
                "csv_not_whole nested_summary host_name_in_output",
                {
                    "files_are_well_formed": "data.csv, row",
                    "the_summary_is_one_flat_object": "columns is",
                    "the_same_run_gives_the_same_bytes": "summary.json differs",
                },
            ),
            ("drops_rows", {"files_hold_what_they_must": "rows of target.csv"}),
        )
    ),
    *(
        Broken(image, stage, faults, {checks: seen})
        for faults, image, stage, checks, seen in (
            ("exits_1", "preprocess", "split", "harm_.*|a_missing_.*", "exit code 1 instead of 6"),
            ("mends_rows", "preprocess", "split", "harm_is_refused_with_65", "0 instead of 65"),
            ("sorts_rows", "preprocess", "split", "files_hold_what_they_must", "in their order"),
            ("sorts_rows", "predict", "predict", "rows_keep_their_order", "row 1 was"),
            ("model_without_end", "train", "train", "the_stages_after_it_can_.*", "model.txt"),
        )
    ),
    *(
        Broken("registry", stage, faults, refused)
        for faults, stage, refused in (
            (
                "traceback_on_stderr missing_is_bad",
                "promote",
                {
                    "harm_is_refused_with_65": "a trace of",
                    "a_missing_.*_with_66": "65 instead of 66",
                },
            ),
            ("says_nothing", "promote", {"harm_is_refused_with_65": "nothing on stderr"}),
            ("exits_1", "promote", {"a_service_that_is_not_there_.*": "exit code 1 instead"}),
            ("deaf_to_sigterm", "champion", {"sigterm_ends_it_.*": "had not been stopped"}),
        )
    ),
]


def run_check(engine: Engine, tables: Path, broken: Broken) -> dict[str, Any]:
    """Build the image, check it, and return the report."""
    engine.client.images.build(
        path=str(HERE),
        target=broken.target,
        tag=tag(broken),
        buildargs={"IMAGE": reference(broken.image), "FAULTS": broken.faults},
        rm=True,
    )
    command = [sys.executable, str(SCRIPT), tag(broken), "--as", broken.stage, "--json", "-"]
    environment = {**ENVIRONMENT, "MICROSTAGE_STAGES": str(tables / f"{broken.stage}.toml")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["passed"] == (done.returncode == 0)
    return report


def tag(broken: Broken) -> str:
    return f"microstage-broken/{SESSION}-{broken.stage}:{broken.faults.replace(' ', '-')}"


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """<stage>.toml, with the rows up to that stage: to try those after it takes time.

    What they make of a model is the one thing that shows that it is broken.
    """
    folder = tmp_path_factory.mktemp("tables")
    head, *rows = re.split(r"(?m)^(?=\[stages\.)", table_path().read_text("utf-8"))
    names = [row[len("[stages.") : row.index("]")] for row in rows]
    for number, name in enumerate(names, 1):
        kept = rows if name == "train" else rows[:number]
        likes = {like for row in kept for like in re.findall(r'(?m)^like\s*=\s*"(.*)"', row)}
        kept = [row for n, row in zip(names, rows, strict=True) if row in kept or n in likes]
        (folder / f"{name}.toml").write_text("".join([head, *kept]), "utf-8")
    return folder


@pytest.fixture(scope="session")
def reports(
    engine: Engine, tables: Path, request: pytest.FixtureRequest
) -> Iterator[dict[str, Future[dict[str, Any]]]]:
    """Of the images that are asked for, by their tags, several at a time."""
    asked = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = [spec.params["broken"] for spec in asked if spec and "broken" in spec.params]
    Pipeline().inputs("predict")  # here, so that not each of them waits for it
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {tag(broken): pool.submit(run_check, engine, tables, broken) for broken in wanted}
        pool.shutdown(cancel_futures=True)
    for broken in wanted:
        with suppress(ImageNotFound):
            engine.client.images.remove(tag(broken), force=True)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda b: f"{b.stage}-{b.faults}")
def test_it_is_refused_for_the_right_reasons_and_for_no_other(
    reports: dict[str, Future[dict[str, Any]]], broken: Broken
) -> None:
    checks = reports[tag(broken)].result()["checks"]
    refused = [check for check in checks if check["result"] == "REFUSED"]
    print(json.dumps(refused, indent=2))

    for pattern, seen in broken.refused.items():
        by = [check for check in refused if re.fullmatch(pattern, check["check"])]
        assert by, f"{pattern} did not refuse it"
        assert [] == [check["seen"] for check in by if seen not in check["seen"]]
    known = "|".join(broken.refused)
    assert [] == [c["check"] for c in refused if not re.fullmatch(known, c["check"])]
    assert all(c["why"] and c["mend"] for c in refused)
