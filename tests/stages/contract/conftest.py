"""Which image is checked in the place of which stage, and the explanations in the report."""

import inspect
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from contract.harms import NO_HARM, NO_HARM_TO_NUMBERS, Harm, harms_of
from contract.subject import Subject
from harness import Engine
from pipeline import TABLE, Case, Pipeline, cases, reads
from warm import WarmEngine

HERE = Path(__file__).parent
PARAMETERS = ("case", "folder", "file", "harm")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "applies_to(rows): to those rows of the table alone")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each check for each case, and where it asks for them for each file or harm of its inputs."""
    chosen = [Case(*text.rsplit("=", 1)) for text in metafunc.config.getoption("--case")]
    found: list[tuple[object, ...]] = []
    asked = [name for name in PARAMETERS if name in {*metafunc.fixturenames, "case"}]
    marker = metafunc.definition.get_closest_marker("applies_to")
    numbers = any(row.params.get("task") == "regression" for row in TABLE.rows.values())
    for case in chosen or cases():
        files = [f"{name}/{file}" for name, files in reads(case.stage).items() for file in files]
        row = TABLE.row(case.stage)
        no_harm = {**NO_HARM, **(NO_HARM_TO_NUMBERS if numbers else {})}.get(row.work, {})
        if "harm" in asked:
            harms = [(file, harm) for file in files for harm in harms_of(file)]
            found += [(case, f, harm) for f, harm in harms if harm not in no_harm.get(f, ())]
        elif "file" in asked:
            found += [(case, file) for file in files if None not in no_harm.get(file, ())]
        elif "folder" in asked:
            found += [(case, name) for name in reads(case.stage)]
        elif not marker or marker.kwargs["rows"](row):
            found += [(case,)]
    ids = ["-".join(map(text_of, values)) for values in found]
    metafunc.parametrize(asked, found, ids=ids)


def text_of(value: object) -> str:
    return "=".join(value) if isinstance(value, Case) else getattr(value, "__name__", str(value))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A check's docstring is its title, then "Why:" and "Mend:"; reports carry all three along."""
    for item in list(items):
        if not isinstance(item, pytest.Function) or not item.path.is_relative_to(HERE):
            continue
        given = item.callspec.params
        if not isinstance(given["case"], Case):  # pytest's word for: no case has what is checked
            items.remove(item)
            continue
        words = {name: text_of(value) for name, value in given.items()}
        words["harm"] = words.get("harm", "").replace("_", " ")
        title, _, rest = (inspect.getdoc(item.function) or "").partition("\n\nWhy: ")
        why, _, mend = rest.partition("\n\nMend: ")
        for key, text in {
            "image": given["case"].image,
            "stage": given["case"].stage,
            "check": item.function.__name__.removeprefix("test_"),
            "title": title.format(**words),
            "why": " ".join(why.split()),
            "mend": " ".join(mend.split()),
        }.items():
            item.user_properties.append((key, text))


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    return Pipeline()


@pytest.fixture(scope="session")
def subject_of(
    engine: Engine, pipeline: Pipeline, warm: WarmEngine, request: pytest.FixtureRequest
) -> Iterator[Callable[[Case], Subject]]:
    """Remembers what has run, and begins with the many runs on bad inputs in the background."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        subject_of = cache(lambda case: Subject(case, engine, pipeline, pool, warm))
        for item in request.session.items:
            given: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
            harm: Harm | None = given.get("harm")
            if "case" in given and "file" in given:
                subject_of(given["case"]).start(given["file"], harm)
        yield subject_of
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def subject(subject_of: Callable[[Case], Subject], case: Case) -> Subject:
    return subject_of(case)
