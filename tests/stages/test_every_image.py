"""What every image must be and do, whatever it does: the contract of a stage, row by row."""

import os
import time
from pathlib import Path

import pytest
from chain import Chain, cases, every_stage
from harness import IMAGES, STAGES, Engine, Input, finished, reference

every_image = pytest.mark.parametrize("image", IMAGES)

# What may be imported in an image, of all that is used anywhere.
PACKAGES = {
    "generate": {"numpy"},
    "replay": set(),
    "preprocess": {"numpy", "pandas"},
    "train": {"numpy", "scipy", "lightgbm"},
    "predict": {"numpy", "scipy", "sklearn", "treelite"},
}
USED_ANYWHERE = [
    *("numpy", "pandas", "scipy", "sklearn", "lightgbm", "treelite", "mlflow", "matplotlib"),
    *("airflow", "docker", "pip", "setuptools", "ensurepip"),
]
TOOLS = [
    *("sh", "bash", "dash", "ash", "busybox", "perl", "gcc", "curl", "wget"),
    *("apt", "apt-get", "dpkg", "apk", "pip", "pip3", "uv"),
]

# What makes a run of the image last: parameters, or an input whose rows are repeated. What has
# neither waits for a reader of its output.
LONG: dict[str, tuple[str, dict[str, object], str]] = {
    "generate": ("generate", {"rows": 10**9}, ""),
    "replay": ("generate", {}, ""),
    "preprocess": ("preprocess", {}, "raw"),
    "train": ("train", {"rounds": 100_000}, ""),
    "predict": ("predict", {}, "features"),
}
REPEATED = 4000  # times


def test_every_image_is_tested() -> None:
    assert set(IMAGES) == {image for image, _ in cases()} == set(PACKAGES) == set(LONG)


@every_image
def test_only_its_own_packages_import(engine: Engine, image: str) -> None:
    program = f"""
import importlib
for name in {USED_ANYWHERE}:
    try:
        importlib.import_module(name)
        print(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
"""
    result = engine.run(image, ["-c", program], entrypoint=["python3"])

    assert (0, "") == (result.code, result.stderr)
    assert PACKAGES[image] == set(result.stdout.split())


@every_image
def test_there_is_no_shell_and_no_package_manager(engine: Engine, image: str) -> None:
    program = f"""
import os
for folder, subfolders, files in os.walk("/"):
    subfolders[:] = [name for name in subfolders if folder != "/" or name not in ("proc", "sys")]
    for path in (os.path.join(folder, name) for name in files if name in {TOOLS}):
        if os.access(path, os.X_OK):
            print(path)
"""
    result = engine.run(image, ["-c", program], entrypoint=["python3"])

    assert (0, "", "") == (result.code, result.stdout, result.stderr)


@every_image
def test_it_does_not_run_as_root_unless_told_to(engine: Engine, image: str) -> None:
    assert "65532:65532" == engine.attributes(image)["Config"]["User"]


@every_image
def test_labels_say_what_it_is(engine: Engine, image: str) -> None:
    labels = engine.attributes(image)["Config"]["Labels"]
    expected = {
        "org.microstage.contract": "1",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.title": image,
        "org.opencontainers.image.version": reference(image).rpartition(":")[2],
    }

    assert expected == {name: labels.get(name) for name in expected}
    assert labels["org.opencontainers.image.description"]


@every_image
def test_help_is_what_it_does_by_default(engine: Engine, image: str) -> None:
    asked, default = engine.run(image, ["--help"]), engine.run(image, [])

    assert (0, "") == (asked.code, asked.stderr)
    assert (0, asked.stdout) == (default.code, default.stdout)
    assert asked.stdout.startswith(f"usage: {image} ")


@every_stage
def test_the_verb_explains_its_parameters(engine: Engine, image: str, stage: str) -> None:
    result = engine.run(image, [STAGES[stage]["verb"], "--help"])

    assert (0, "") == (result.code, result.stderr)
    assert all(f"--{name}" in result.stdout for name in STAGES[stage].get("params", {}))


@every_image
def test_no_verb_is_wrong_usage(engine: Engine, image: str) -> None:
    result = engine.run(image, [], entrypoint=["python3", "/app/stage.py"])

    assert (64, "") == (result.code, result.stdout)
    assert "verb" in result.last_error


@every_image
def test_an_unknown_verb_is_wrong_usage(engine: Engine, image: str) -> None:
    result = engine.run(image, ["dance"])

    assert (64, "") == (result.code, result.stdout)
    assert "dance" in result.last_error


@every_stage
def test_an_unknown_parameter_is_wrong_usage(
    engine: Engine, chain: Chain, image: str, stage: str
) -> None:
    result = engine.run(image, chain.command(image, stage, dance=1))

    assert (64, "") == (result.code, result.stdout)
    assert "--dance" in result.last_error
    assert [] == list(result.out.iterdir())


@every_stage
def test_it_writes_what_the_table_declares(chain: Chain, image: str, stage: str) -> None:
    result = chain.result(image, stage)
    expected = {*STAGES[stage]["writes"]["files"], "summary.json"}

    assert expected == {path.name for path in result.out.iterdir()}
    assert "" == result.stderr


@every_stage
def test_the_summary_is_one_flat_object(chain: Chain, image: str, stage: str) -> None:
    summary = chain.result(image, stage).summary

    assert any("rows" in name for name in summary)
    assert [] == [name for name, value in summary.items() if isinstance(value, dict | list)]


@every_stage
def test_the_same_run_gives_the_same_bytes(chain: Chain, image: str, stage: str) -> None:
    first = chain.result(image, stage)
    again = chain.run(image, stage, cpuset_cpus="0", hostname="elsewhere")

    assert contents(first.out) == contents(again.out)


@every_stage
def test_any_user_may_run_it(chain: Chain, image: str, stage: str) -> None:
    result = chain.run(image, stage, user="12345:54321")

    assert (0, "") == (result.code, result.stderr)
    assert {12345} == {path.stat().st_uid for path in result.out.iterdir()}


@every_stage
def test_a_full_disk_is_worth_another_try(chain: Chain, image: str, stage: str) -> None:
    result = chain.run(image, stage, out_size="4k")

    assert (75, 1) == (result.code, len(result.stderr.splitlines()))
    assert "full" in result.last_error


@every_image
@pytest.mark.parametrize("init", [True, False], ids=["under-init", "as-pid-1"])
def test_sigterm_ends_it_within_two_seconds(
    engine: Engine, chain: Chain, tmp_path: Path, image: str, init: bool
) -> None:
    stage, params, long_input = LONG[image]
    inputs: dict[str, Input] = {**chain.inputs(stage)}
    for key, folder in chain.inputs(stage).items():
        if key.partition("/")[0] == long_input:
            inputs[key] = {path.name: repeated(path) for path in folder.glob("*.csv")}
    if not params and not long_input:
        os.mkfifo(tmp_path / "data.csv")
        (tmp_path / "data.csv").chmod(0o666)
    tmp_path.chmod(0o777)

    command = chain.command(image, stage, **params)
    with engine.start(image, command, inputs=inputs, out=tmp_path, init=init) as container:
        time.sleep(1.5)  # past the imports, into the work
        container.reload()
        assert "running" == container.status, container.logs()
        container.kill("SIGTERM")
        sent = time.monotonic()
        code = finished(container, timeout=20)
        seconds = time.monotonic() - sent

    assert 143 == code
    assert seconds < 2
    assert not (tmp_path / "summary.json").exists()


def repeated(path: Path) -> bytes:
    header, rows = path.read_bytes().split(b"\n", 1)
    return header + b"\n" + rows * REPEATED


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
