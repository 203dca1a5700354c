"""What every image is, whatever it is for: reproducible, labelled, with a list of its contents."""

import re
import subprocess
import tomllib
from email.parser import Parser

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from images import LOCK, SBOM, VERSION, Builder, all_images, files, inspect
from stack import ROOT, docker

# Python with wheels; Python without a module of its own; no Python.
STAGES = ["generate", "split_lua"]


def packages(reference: str) -> set[tuple[str, str, str]]:
    """The packages that are in the image, as their own records say, not as its list does."""
    found = set()
    for path, content in files(reference):
        if re.fullmatch(r"var/lib/dpkg/status(\.d/.*)?", path):
            for stanza in content.decode().split("\n\n"):
                fields = Parser().parsestr(stanza.strip())
                if "Package" in fields and "deinstall" not in fields.get("Status", ""):
                    found.add(("deb", fields["Package"], fields["Version"]))
        elif path.endswith(".dist-info/METADATA"):
            fields = Parser().parsestr(content.decode())
            name = re.sub(r"[-_.]+", "-", fields["Name"]).lower()
            found.add(("pypi", name, fields["Version"]))
    return found


@pytest.mark.parametrize("name", all_images())
def test_the_list_in_an_image_is_cyclonedx_and_names_just_what_is_there(name: str) -> None:
    reference = f"microstage/{name}:{VERSION}"
    text = dict(files(reference))[SBOM].decode()

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = re.findall(
        r'"bom-ref": ?"pkg:(deb|pypi)/(?:debian/)?([^@]+)@([^"?]+)', text.replace("%2B", "+")
    )
    expected = {(kind, n.replace("%3A", ":"), v.replace("%3A", ":")) for kind, n, v in listed}
    assert expected == packages(reference)
    assert f"/{SBOM}" == inspect(reference)["Config"]["Labels"]["org.microstage.sbom"]


@pytest.mark.parametrize("name", all_images())
def test_the_lock_beside_it_has_every_debian_package_with_its_digest(name: str) -> None:
    reference = f"microstage/{name}:{VERSION}"
    found = dict(files(reference))
    lines = [line.split() for line in found[LOCK].decode().splitlines()]

    expected = {(name, version) for kind, name, version in packages(reference) if kind == "deb"}
    assert expected == {(name, version) for name, version, _, _ in lines}
    assert sorted(lines) == lines
    assert [] == [line for line in lines if not re.fullmatch("[0-9a-f]{64}", line[3])]


def test_a_digest_in_a_lock_is_that_of_the_package_that_debian_has() -> None:
    lock = dict(files(f"microstage/split_lua:{VERSION}"))[LOCK].decode()
    name, version, architecture, digest = next(
        line.split() for line in lock.splitlines() if line.startswith("tini ")
    )
    download = f"apt-get -qq update && cd /tmp && apt-get -qq download {name}={version}"
    builder = ["--entrypoint=bash", f"microstage/builder:{VERSION}", "-c"]
    out = docker("run", "--rm", *builder, f"{download} && sha256sum {name}_*_{architecture}.deb")

    assert digest == out.split()[-2]


def test_two_builds_from_nothing_give_the_same_images(builder: Builder) -> None:
    builder(*STAGES)  # from the cache: they were built with all the others
    first = [inspect(builder.tag(name))["Id"] for name in STAGES]
    builder("--no-cache", *STAGES)

    assert first == [inspect(builder.tag(name))["Id"] for name in STAGES]


def test_the_revision_is_the_last_commit_that_changed_the_image(builder: Builder) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        return builder.run("git", *identity, *arguments).stdout.strip()

    def built() -> tuple[str | None, str]:
        builder("split_lua")
        image = inspect(builder.tag("split_lua"))
        return image["Config"]["Labels"].get("org.opencontainers.image.revision"), image["Id"]

    without_git = built()
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message=first")
    first = git("rev-parse", "HEAD")
    committed = built()
    with (builder.root / "containers/generate/stage.py").open("a") as stage:
        stage.write("\n")
    git("commit", "--quiet", "--all", "--message=another image")
    after_another = built()
    with (builder.root / "containers/split_lua/stage.lua").open("a") as stage:
        stage.write("\n")
    changed = built()

    assert without_git[0] is None
    assert first == committed[0]
    assert committed == after_another
    assert f"{first}-dirty" == changed[0]


def test_nothing_changed_is_told_without_a_build() -> None:
    subprocess.run([ROOT / "build_images.sh"], check=True, capture_output=True)
    done = subprocess.run([ROOT / "build_images.sh"], check=True, capture_output=True, text=True)

    assert "" == (ROOT / ".cache/build.log").read_text()
    assert {"no"} == set(re.findall(r"(?m)^\w+ .* (yes|no)$", done.stdout))


def test_a_debug_image_is_the_same_with_sources_and_a_shell(builder: Builder) -> None:
    builder("generate")
    real = inspect(builder.tag("generate"))["Id"]
    builder("--debug")  # all of them: what a Dockerfile deletes must be there in this form too
    debug = builder.tag("generate", "-debug")
    program = "import numpy; print(numpy.__file__)"
    inside = docker(
        *("run", "--rm", "--entrypoint=sh", debug, "-c"),
        f"which vi python3; python3 -c '{program}'",
    )

    assert [
        "/busybox/vi",
        "/usr/bin/python3",
        "/usr/lib/python3/dist-packages/numpy/__init__.py",
    ] == inside.splitlines()
    assert real == inspect(builder.tag("generate"))["Id"]
    added = packages(debug) - packages(builder.tag("generate"))
    assert ["busybox-static"] == [name for _, name, _ in added]


def test_a_debug_image_is_refused_as_a_stage(builder: Builder) -> None:
    builder("--debug", "generate")
    image = builder.tag("generate", "-debug")
    done = builder.run("scripts/run_stage", "generate", "--ds=2026-01-01", f"--image={image}")
    table = tomllib.loads((ROOT / "dags/stages.toml").read_text())["stages"]

    assert 64 == done.returncode
    assert f"The image {image} speaks version debug of the stage contract" in done.stderr
    assert [] == [row for row in table.values() if "-debug" in row.get("image", "")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trian"], "there is no image 'trian'"),
        (["--fast"], "unknown option '--fast'"),
        (["--push", "https://example.org"], "--push wants a registry without https://"),
        (["--push"], "--push wants a registry without https://"),
        (["--from", "https://example.org"], "--from wants a registry without https://"),
        (["--from", "example.org", "--no-cache"], "--from takes images as they are"),
        (["--lock", "pyproject.toml"], "say from where: --from REGISTRY"),
        (["--platform", "linux/riscv64"], "--platform knows linux/amd64 and linux/arm64"),
        (["--platform", "linux/arm64", "airflow"], "airflow is part of the platform"),
        (["--debug", "postgres"], "postgres is part of the platform"),
        (["--debug", "--push", "example.org", "train"], "--debug stays on this machine"),
    ],
)
def test_a_wrong_call_is_refused_with_64(
    builder: Builder, arguments: list[str], sentence: str
) -> None:
    done = builder(*arguments, check=False)

    assert 64 == done.returncode
    assert sentence in done.stderr.splitlines()[-1]
