"""The frame as images have it: there in those that start from base, by one COPY in any other."""

import subprocess
from collections.abc import Iterator

import pytest
from harness import IMAGES, REPOSITORY, Engine, reference

IMAGE = "microstage-tests/frame:any"
VERSION = reference("train").rpartition(":")[2]
WITH_PYTHON = [i for i in IMAGES if (REPOSITORY / "containers" / i / "stage.py").is_file()]

# An author's own image; microstage/builder, a Debian with Python, stands for python:3.13-slim.
DOCKERFILE = f"""
FROM microstage/builder:{VERSION}
COPY --from=microstage/base:{VERSION} /usr/lib/python3/dist-packages/stageframe /app/stageframe
COPY stage.py /app/
ENTRYPOINT ["python3", "/app/stage.py"]
"""

STAGE = '''"""Count to a number."""
from stageframe import Parameter, Program, whole
program = Program("count", __doc__)
program.verb("count", lambda to: {"rows": sum(range(to + 1))}, "count", Parameter("to", whole()))
program.main()
'''

# Which modules it has, whether they come from byte code, and whether NumPy came along.
LOOKED_AT = """
import importlib.util, pathlib, sys
import stageframe, stageframe.csv_files
for name in sorted(path.stem for path in pathlib.Path(stageframe.__file__).parent.glob("*.py")):
    code = pathlib.Path(importlib.util.cache_from_source(stageframe.__path__[0] + f"/{name}.py"))
    # https://peps.python.org/pep-0552/: 1 = by the source's hash, and not checked
    print(name, code.read_bytes()[4])
print("numpy" in sys.modules)
"""


@pytest.fixture(scope="module")
def any_image(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("any")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "stage.py").write_text(STAGE)
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", IMAGE, folder], check=True, capture_output=True
    )
    yield IMAGE
    engine.client.images.remove(IMAGE, force=True)


def test_an_image_that_is_not_from_base_takes_the_frame_by_one_copy(
    engine: Engine, any_image: str
) -> None:
    result = engine.run(any_image, ["count", "--to", "9"])

    assert (0, "", {"rows": 45}) == (result.code, result.stderr, result.summary)


def test_there_it_refuses_and_explains_itself_as_everywhere(engine: Engine, any_image: str) -> None:
    wrong, asked = (engine.run(any_image, words) for words in (["count", "--to", "-1"], ["--help"]))

    assert 64 == wrong.code
    assert "-1 is not between 0 and 2147483647" in wrong.last_error
    assert (0, "") == (asked.code, asked.stderr)
    assert asked.stdout.startswith("usage: count ")


@pytest.mark.parametrize("image", WITH_PYTHON)
def test_every_image_has_the_whole_frame_as_byte_code_and_loads_it_without_numpy(
    engine: Engine, image: str
) -> None:
    source = REPOSITORY / "containers" / "platform" / "base" / "stageframe"
    result = engine.run(image, ["-c", LOOKED_AT], entrypoint=["python3"])

    assert (0, "") == (result.code, result.stderr)
    expected = [f"{name} 1" for name in sorted(path.stem for path in source.glob("*.py"))]
    assert [*expected, "False"] == result.stdout.splitlines()
