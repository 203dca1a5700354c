"""What keeps the house in order: arrows go one way, modules stay small, nothing stands twice."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DAGS, CONTAINERS = ROOT / "dags", ROOT / "containers"
PLATFORM = DAGS / "microstage"
MODULES = sorted(PLATFORM.rglob("*.py"))
DAG_FILES = sorted(DAGS.glob("*.py"))
CODE = [*DAG_FILES, *MODULES, *sorted(CONTAINERS.rglob("*.py"))]

# What dags/ may import besides Python's own library and itself.
OUTSIDE = {
    "airflow": "what runs the DAGs",
    "docker": "what runs the stages",
    "requests": "docker raises its errors",
    "urllib3": "and its errors, where it reads a stream by itself",
    "croniter": "Airflow's own reader of cron expressions",
    "openlineage": "classes of its events; imported where there is somebody to tell",
    "attrs": "what these are made with",
    "apprise": "sends alerts to services; imported when one is sent",
}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            # `from microstage import sensors` imports a module
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name_of(path: Path) -> str:
    """Return a module's name in the package: contract, engines.process."""
    return ".".join(path.relative_to(PLATFORM).with_suffix("").parts).removesuffix(".__init__")


NAMES = {name_of(path): path for path in MODULES if path != PLATFORM / "__init__.py"}


def arrows(path: Path) -> set[str]:
    """Return the modules of the package that one of them imports."""
    return {name for name in NAMES if f"microstage.{name}" in imported(path)}


def listed() -> list[str]:
    """Return the modules in the order that the package's own words have."""
    return re.findall(r"^ {4}(\w+)/? ", words(), re.MULTILINE)


def words() -> str:
    return ast.get_docstring(ast.parse((PLATFORM / "__init__.py").read_text("utf-8"))) or ""


def listed_in(folder: str) -> list[str]:
    """Return the modules of a folder in the order that they have there."""
    found = re.search(rf"^ {{4}}{folder}/ .*: (.*)$", words(), re.MULTILINE)
    return [f"{folder}.{name}" for name in found[1].split(", ")] if found else []


# --- arrows


def test_the_package_lists_every_module_of_it_once() -> None:
    inner = [name for name in NAMES if "." in name]

    assert inner == sorted(listed_in("engines"))
    assert sorted({name.partition(".")[0] for name in NAMES}) == sorted(listed())


@pytest.mark.parametrize("name", NAMES)
def test_a_module_imports_those_above_it_in_the_list_alone(name: str) -> None:
    folder = name.partition(".")[0]
    above = set(listed()[: listed().index(folder)])
    inner = listed_in(folder)
    beside = set(inner[: inner.index(name)] if name in inner else ())

    assert [] == [
        other
        for other in arrows(NAMES[name])
        if other.split(".")[0] not in above and other not in {folder, *beside}
    ]


@pytest.mark.parametrize(
    "name", [*listed()[: listed().index("walls") + 1], "engines.process", "engines"]
)
def test_up_to_the_walls_and_in_a_process_it_is_pythons_own_library_alone(name: str) -> None:
    roots = {module.partition(".")[0] for module in imported(NAMES[name])}

    assert set() == roots - sys.stdlib_module_names - {"microstage"}


def test_what_waits_for_data_does_not_load_docker() -> None:
    todo, seen = ["sensors"], {"sensors"}
    while todo:
        path = NAMES[todo.pop()]
        assert not {module for module in imported(path) if "docker" in module}, relative(path)
        todo += arrows(path) - seen
        seen |= arrows(path)


def test_dags_are_made_of_python_airflow_and_docker() -> None:
    own = {"microstage", *(path.stem for path in DAG_FILES)}
    roots = {
        module.partition(".")[0] for path in [*DAG_FILES, *MODULES] for module in imported(path)
    }

    assert set(OUTSIDE) == roots - sys.stdlib_module_names - own


def test_the_stock_operator_is_named_in_one_module() -> None:
    naming = [path for path in CODE if "DockerOperator" in path.read_text("utf-8")]

    assert ["dags/microstage/operator.py"] == [relative(path) for path in naming]


def test_no_image_imports_the_platform() -> None:
    for path in CONTAINERS.glob("*/*.py"):
        assert not {module for module in imported(path) if module.startswith(("microstage", "air"))}


# --- sizes


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_a_dag_file_fits_on_a_page_or_two(path: Path) -> None:
    text = path.read_text("utf-8")
    said = ast.parse(text).body[0].end_lineno or 0
    lines = text.splitlines()

    assert len(lines) <= 90
    assert len(lines) - said <= 60


@pytest.mark.parametrize("path", sorted(CONTAINERS.glob("*/stage.py")), ids=relative)
def test_the_entrance_of_an_image_is_its_verbs_and_their_parameters(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 60


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_a_module_knows_one_thing(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 270


# --- nothing stands twice

TWICE = re.compile(r"# Also in \S+: .+")  # over a function: where else it stands, and why


def functions(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what each function of three lines or more does, and where it is."""
    text = path.read_text("utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            above = min([node.lineno, *(each.lineno for each in node.decorator_list)]) - 2
            if len(ast.unparse(ast.Module(body, [])).splitlines()) > 2 and not TWICE.match(
                lines[above].strip()
            ):
                yield ast.dump(node.args) + "".join(map(ast.dump, body)), node.name


@pytest.mark.parametrize("folder", [CONTAINERS, DAGS], ids=relative)
def test_no_function_stands_in_two_modules(folder: Path) -> None:
    """Of the images and their frame; of the platform."""
    places = defaultdict(list)
    for path in sorted(folder.rglob("*.py")):
        for body, name in functions(path):
            places[body].append(f"{relative(path)}: {name}")

    assert [] == [where for where in places.values() if len(where) > 1]


# --- the table is the one list of stages

TABLE = tomllib.loads((DAGS / "stages.toml").read_text("utf-8"))
ROWS = set(TABLE["stages"])
WORDS = {"champion": "the model in production, a key of comparison.json"}


def constants(path: Path) -> Iterator[str]:
    """Yield the texts in a module that are not its words about itself."""
    tree = ast.parse(path.read_text("utf-8"))
    words = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words:
            yield node.value


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_the_platform_names_no_row_and_no_dag(path: Path) -> None:
    names = ROWS | set(TABLE.get("pipeline", {}).get("schedule", {}))
    named = {word for text in constants(path) for word in re.findall(r"[\w.-]+", text)}

    assert set() == named & names - set(WORDS)


def test_no_list_of_stages_stands_beside_the_table() -> None:
    listing = re.compile(rf"\b(?:(?:{'|'.join(ROWS)})\b[\s\"',|]+){{3,}}")
    files = subprocess.run(
        ["git", "ls-files", "dags", "scripts", "containers", "*.sh", "*.hcl", "*.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    found = {}
    for file in files:
        path = ROOT / file
        if path.is_file() and path.suffix not in (".txt", ".toml", ".png"):
            words = listing.search(path.read_text("utf-8", errors="replace"))
            if words and len(set(re.findall(r"\w+", words[0]))) > 2:
                found[file] = words[0]

    assert {} == found
