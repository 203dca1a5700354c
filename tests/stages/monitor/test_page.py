"""The report is one file that any browser shows, and bad inputs are one sentence."""

import json
import re
import time
from typing import Any

import pytest
from contract.formats import faults_of_page
from contract.subject import contents
from harness import Engine, RunStage, finished
from watched import DAY, Watched, categorical, numeric, page_of, two

HAND = two(0.1, 0.4, 0.7, 0.8)
LABELS = ["0", "1", "0", "1"]
EVIL = "<script>alert(1)</script>"


def full() -> Watched:
    """Two days, all kinds of features, labels, and names as an attacker would choose them."""
    watched = Watched(
        classes=("<i>no</i>", "$yes\x07$"),
        columns=[categorical('"c"&', {"<b>": 60, "$\\frac$": 40}), numeric(EVIL, [5], [50, 50])],
        class_counts=[60, 40],
        more={"threshold": 0.2},
    )
    data: dict[str, list[object]] = {'"c"&': ["<b>", "$\\frac$", "</svg>", ""], EVIL: [1, 2, 8, 9]}
    labels = [watched.classes[int(k)] for k in LABELS]
    watched.day(HAND, labels, data=data, day="2013-01-15", model="<u>")
    return watched.day(HAND, labels, data=data)


def test_the_page_is_well_formed_and_asks_for_nothing_else(run_stage: RunStage) -> None:
    result = full().report(run_stage)

    assert 0 == result.code, result.last_error
    assert [] == list(faults_of_page(result.out / "report.html"))
    assert "It says $yes\N{REPLACEMENT CHARACTER}$ from a probability of 0.200 on." in page_of(
        result
    )


def test_the_page_of_a_first_day_without_labels_is_well_formed(run_stage: RunStage) -> None:
    result = Watched().day(two(0.2)).report(run_stage)
    page = page_of(result)

    assert [] == list(faults_of_page(result.out / "report.html"))
    assert "first day of predictions" in page


def test_names_from_the_data_are_text_and_not_markup(run_stage: RunStage) -> None:
    page = page_of(full().report(run_stage))

    for markup in (EVIL, "<i>no", "</svg>,", "<u>"):
        assert markup not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "not seen in training: &lt;/svg&gt;" in page
    assert "\x07" not in page


def test_the_same_run_writes_the_same_bytes(run_stage: RunStage) -> None:
    first, second = (full().report(run_stage) for _ in range(2))

    assert contents(first.out) == contents(second.out)


USED = {"memory": 61210624, "cpu_seconds": 1234.56, "bytes_read": 4096, "bytes_written": 0}
IN_WORDS = (
    "What its training used: 987.7 seconds, 1,234.6 seconds of CPU time and 58.4 MiB of memory"
)


def page_with(run_stage: RunStage, watched: Watched, **files: object) -> str:
    """The page where these JSON files are beside the model, None where there is none."""
    inputs: dict[str, Any] = dict(watched.with_model())
    told = {f"{name}.json": content and json.dumps(content) for name, content in files.items()}
    inputs["model"] = {name: text for name, text in {**inputs["model"], **told}.items() if text}
    return page_of(run_stage("monitor", "report", inputs=inputs))


def test_the_page_says_what_the_training_of_a_version_used(run_stage: RunStage) -> None:
    version = {"name": "microstage", "version": "1", "used": {"seconds": 987.654, **USED}}
    # That of the fetch, which made the copy.
    manifest = {"seconds": 1.0, "used": {"memory": 2**40}}
    page = page_with(run_stage, full(), version=version, manifest=manifest)

    assert f"{IN_WORDS} at most. Thresholds" in page


def test_of_a_model_that_is_no_copy_its_manifest_says_it(run_stage: RunStage) -> None:
    manifest = {"seconds": 987.654, "used": USED}

    assert IN_WORDS in page_with(run_stage, full(), version=None, manifest=manifest)


@pytest.mark.parametrize(
    "used",
    [None, {}, [1], "a lot", {"memory": "1"}, {"memory": -1}, {"memory": True}, {"seconds": 1e300}],
)
def test_what_is_not_known_of_the_training_is_not_on_the_page(
    run_stage: RunStage, used: object
) -> None:
    version = {"name": "microstage", "version": "1", "used": used}
    page = page_with(run_stage, full(), version=version, manifest={"seconds": 1.0, "used": USED})

    assert "its training used" not in page
    assert "on. Thresholds" in page


def test_a_manifest_without_it_tells_no_seconds_either(run_stage: RunStage) -> None:
    page = page_with(run_stage, full(), version=None, manifest={"seconds": 1.0})

    assert "its training used" not in page


def test_the_training_of_another_model_than_the_days_is_not_on_its_page(
    run_stage: RunStage,
) -> None:
    version = {"name": "microstage", "version": "1", "used": USED}
    page = page_with(run_stage, Watched().day(HAND, model="2"), version=version)

    assert "its training used" not in page


def test_the_page_shows_in_the_dark_and_on_paper(run_stage: RunStage) -> None:
    page = page_of(full().report(run_stage))

    assert "@media (prefers-color-scheme: dark)" in page
    assert "@media print" in page
    # The plots take the page's colours: none of the stand-ins is left.
    assert page.count("var(--now)") > 10
    assert "#01010" not in page


def test_many_features_make_no_large_page(run_stage: RunStage) -> None:
    columns = [numeric(f"x{i}", range(1, 10), [100] * 10) for i in range(300)]
    result = Watched(columns=columns).day(HAND, LABELS).report(run_stage)

    assert 0 == result.code, result.last_error
    assert (result.out / "report.html").stat().st_size < 1e6
    assert "And 260 more with less drift" in page_of(result)


def test_many_classes_are_drawn_too(run_stage: RunStage) -> None:
    classes = [f"class {i}" for i in range(30)]
    scores = [[0.71 if i == k else 0.01 for i in range(30)] for k in range(30)]
    watched = Watched(classes=classes).day(scores, classes, day="2013-01-15").day(scores, classes)

    assert "class 29" in page_of(watched.report(run_stage))


def models_named(page: str) -> list[tuple[float, float, str]]:
    """Where names of models are in the plot over time (x, y, text), as matplotlib writes them."""
    notes = re.findall(r' x="([\d.]+)" y="([\d.]+)"[^>]*>((?:model|tests/)[^<]*)</text>', page)
    return [(float(x), float(y), text) for x, y, text in notes]


@pytest.mark.parametrize("names", ["{}", "tests/models/2013-01-{}"])
def test_names_of_models_that_change_each_day_are_not_over_each_other(
    run_stage: RunStage, names: str
) -> None:
    watched = Watched()
    for day in range(1, 29):
        date = f"2013-01-{day:02}"
        watched.day(HAND, day=date)
        by = {"version": names.format(day)} if names == "{}" else {"path": names.format(day)}
        watched.inputs[f"predictions/{date}"]["manifest.json"] = json.dumps({"model": by})
    named = models_named(page_of(watched.report(run_stage)))
    newest = f"model {names.format(28)}" if names == "{}" else names.format(28)

    assert newest in {text for _, _, text in named}
    assert 3 < len(named) <= 27
    for x, y, text in named:
        # What a letter takes on average at 8 points, in the wide font that it is measured with.
        end = x + 4.3 * len(text)
        assert end < 7.6 * 72
        assert [] == [other for left, at, other in named if at == y and x < left < end]


def test_models_that_change_on_neighbouring_days_are_both_named(run_stage: RunStage) -> None:
    watched = Watched().day(HAND, day="2013-01-10", model="1")
    watched.day(HAND, day="2013-01-11", model="2").day(HAND, day="2013-01-12", model="3")
    watched.day(HAND, day="2013-02-06", model="3")
    named = models_named(page_of(watched.report(run_stage)))

    assert ["model 3", "model 2"] == [text for _, _, text in named]
    assert 2 == len({y for _, y, _ in named})


def without(path: str, file: str = "") -> Watched:
    watched = full()
    if file:
        del watched.inputs[path][file]
    else:
        del watched.inputs[path]
    return watched


def changed(path: str, file: str, before: str, after: str) -> Watched:
    watched = full()
    text = watched.inputs[path][file]
    assert isinstance(text, str)
    assert before in text
    watched.inputs[path][file] = text.replace(before, after, 1)
    return watched


P, R = f"predictions/{DAY}", f"raw/{DAY}"


@pytest.mark.parametrize(
    ("watched", "code", "words"),
    [
        (without(P), 66, f"{P} is missing: predict that day"),
        (without(P, "predictions.csv"), 66, f"{P}/predictions.csv: No such file"),
        (without(R, "data.csv"), 66, f"{R}/data.csv: No such file"),
        (changed(P, "predictions.csv", "class,", "klass,"), 65, "predictions.csv, header: it must"),
        (changed(P, "predictions.csv", "$yes", "$maybe"), 65, "is none that the header"),
        (changed(P, "predictions.csv", ",0.4\n", ",1.4\n"), 65, "row 2: a probability is not"),
        (changed(P, "predictions.csv", ",0.4\n", ",x\n"), 65, "row 2: column 'probability_$yes"),
        (changed(P, "predictions.csv", ",0.4\n", "\n"), 65, "row 2 has 2 fields, not 3"),
        (
            changed(R, "target.csv", "<i>", "<i>no</i>\n<i>"),
            65,
            "target.csv has 5 rows, predictions",
        ),
        (changed(R, "target.csv", "target", "label"), 65, "it must have one, target"),
        (changed(R, "data.csv", EVIL, "x"), 65, "of the model is missing: add it"),
        (
            changed(R, "data.csv", "</svg>,8", "</svg>,eight"),
            65,
            "row 3: column '<script>alert(1)</script>'",
        ),
        (
            changed(R, "data.csv", "</svg>,8", "</svg>,8_0"),
            65,
            "row 3: column '<script>alert(1)</script>'",
        ),
        (changed(R, "data.csv", "</svg>,8\n", ""), 65, "data.csv has 3 rows, predictions/"),
    ],
)
def test_bad_inputs_are_one_sentence(
    run_stage: RunStage, watched: Watched, code: int, words: str
) -> None:
    result = watched.report(run_stage, date=DAY)

    assert (code, 1) == (result.code, len(result.stderr.splitlines()))
    assert words in result.last_error


@pytest.mark.parametrize("date", ["yesterday", "2013-02-30", "20130116"])
def test_what_is_no_day_is_wrong_usage(run_stage: RunStage, date: str) -> None:
    result = full().report(run_stage, date=date)

    assert 64 == result.code
    assert "--date" in result.last_error


def test_sigterm_ends_it_while_it_reads_many_rows(engine: Engine) -> None:
    columns = [numeric(f"x{i}", range(1, 10), [100] * 10) for i in range(20)]
    rows = 100_000
    watched = Watched(columns=columns)
    watched.day(HAND * (rows // 4), LABELS * (rows // 4))
    for files in watched.inputs.values():
        for name in [name for name in files if name.endswith(".csv")]:
            head, _, body = str(files[name]).partition("\n")
            files[name] = f"{head}\n{body * 15}"
    with engine.start("monitor", ["report"], inputs=watched.with_model()) as container:
        time.sleep(1)
        container.kill("SIGTERM")
        sent = time.monotonic()
        code = finished(container, timeout=20)

    assert 143 == code
    assert time.monotonic() - sent < 2
