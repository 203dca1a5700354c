"""Small images still have all that their packages offer, but for what is cut on purpose."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from harness import IMAGES, REPOSITORY, reference

pytestmark = pytest.mark.images
HERE = Path(__file__).parent
CUT = tomllib.loads((HERE / "cut_on_purpose.toml").read_text("utf-8"))

# Of replay's one package the data is used; to import it would want pandas.
WALKED = [
    image
    for image in IMAGES
    if (REPOSITORY / "containers" / image / "requirements.txt").exists() and image != "replay"
]


@pytest.mark.parametrize("image", WALKED)
def test_what_pip_install_gives_can_be_imported_but_for_what_is_cut_on_purpose(image: str) -> None:
    usual = f"comparison/{image}:usual"
    subprocess.run(
        [REPOSITORY / "scripts/comparison/build", "usual", usual, image], check=True, timeout=300
    )
    requirements = (REPOSITORY / "containers" / image / "requirements.txt").read_text("utf-8")
    packages = sorted(set(re.findall(r"^([\w.-]+)==", requirements, re.MULTILINE)))
    before, after = walk(usual, packages), walk(reference(image), packages)
    lost = before - after
    cut = {name for names in CUT.get(image, {}).values() for name in names}

    assert len(before) > 100
    assert [] == sorted(name for name in lost if not any(below(name, top) for top in cut))
    assert [] == sorted(top for top in cut if not any(below(name, top) for name in lost))


def walk(image: str, packages: list[str]) -> set[str]:
    """The modules that can be imported, and the public names in them."""
    command = ["docker", "run", "--rm", "--interactive", "--network=none", "--read-only"]
    command += ["--tmpfs=/tmp", "--entrypoint=python3", image, "-", *packages]
    done = subprocess.run(
        command,
        input=(HERE / "module_walk.py").read_text("utf-8"),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return {*found, *(f"{module}.{name}" for module, names in found.items() for name in names)}


def below(name: str, top: str) -> bool:
    return f"{name}.".startswith(f"{top}.")
