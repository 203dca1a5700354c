"""The contract of a stage, one check a line of it, for any image: `scripts/check_stage` runs this.

The first sentence of a docstring is the check's line in the report.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from contract.formats import (
    FORMATS,
    ROW_BY_ROW,
    SEALED,
    ill_formed,
    missing,
    not_flat,
    read_table,
    same_cells,
    wrong_kinds,
)
from contract.harms import (
    NUMBER_NAMED,
    ROW,
    ROW_NAMED,
    TARGET_NAMED,
    Harm,
    a_numeric_column,
    rows_of,
)
from contract.subject import (
    NOWHERE,
    THREE_DAYS,
    Subject,
    contents,
    of_day,
    refuse_if,
    require_sentence,
)
from docker.errors import APIError
from harness import Input, fail, finished
from pipeline import TABLE, as_csv, reads

from microstage.data_folder import SUMMARY
from microstage.errors import BAD_DATA, NO_INPUT, TRY_AGAIN, USAGE, StageError
from microstage.table import Row
from microstage.walls import CONTRACT, CONTRACT_LABEL

REPEATED = 1000  # times: the rows of a table, for a run that lasts
PATIENCE = 30  # seconds until a stage gives up a service that is not there
ENDED = {0, USAGE, BAD_DATA, NO_INPUT}  # what makes nobody try again
OCI = [f"org.opencontainers.image.{name}" for name in ("title", "description", "version")]


def is_served(row: Row) -> bool:
    return bool(row.network)


def keeps_rows(row: Row) -> bool:
    return row.work in ROW_BY_ROW


def reads_something(row: Row) -> bool:
    return bool(reads(row.stage))


def test_a_label_says_which_contract_it_keeps(subject: Subject) -> None:
    """The label org.microstage.contract is 1

    Why: the platform must know which version of the contract an image was made for.

    Mend: add LABEL org.microstage.contract="1" to the Dockerfile.
    """
    found = (subject.attributes["Config"]["Labels"] or {}).get(CONTRACT_LABEL)
    if found != CONTRACT:
        fail(f"the label is {found!r}")


def test_labels_say_what_it_is(subject: Subject) -> None:
    """Labels say its title, description and version

    Why: a person who meets the image in a registry or a log must be able to tell what it is.

    Mend: add LABEL org.opencontainers.image.title, .description and .version to the Dockerfile.
    """
    labels = subject.attributes["Config"]["Labels"] or {}
    refuse_if([f"the label {name} is missing or empty" for name in OCI if not labels.get(name)])


def test_help_is_printed(subject: Subject) -> None:
    """--help prints usage that names the verb, and exits 0

    Why: it is the first thing that a person tries.

    Mend: print the verbs and their parameters to stdout and exit with 0.
    """
    result = subject.run(command=["--help"], inputs={})
    if result.code != 0:
        fail(f"exit code {result.code}; {result.last_error!r}")
    if subject.row.verb not in result.stdout:
        fail(f"the verb {subject.row.verb} is not in what it printed to stdout")


def test_an_unknown_verb_is_wrong_usage(subject: Subject) -> None:
    """An unknown verb is refused with 64

    Why: 64 fails a task at once; any other code is tried again, in vain.

    Mend: exit with 64 for a verb that is unknown; name it in the last line on stderr.
    """
    require_sentence(subject.refused(["dance"], {}), USAGE, "dance")


def test_an_unknown_parameter_is_wrong_usage(subject: Subject) -> None:
    """An unknown parameter is refused with 64

    Why: a parameter that is misspelt in the table would be ignored without a word.

    Mend: exit with 64 for a parameter that is unknown; name it in the last line on stderr.
    """
    require_sentence(subject.refused([*subject.command, "--dance", "1"]), USAGE, "dance")


def test_it_runs(subject: Subject) -> None:
    """It does its work on small real inputs

    Why: it was given what the stages before it write, and its row's parameters.

    Mend: run it by hand with that command; .cache/check_stage holds the inputs.
    """
    if subject.row.network:
        subject.written()
    if subject.obstacle not in ("", "unknown"):
        pytest.skip("it runs only without one of the walls below")
    if subject.obstacle:
        command, result = " ".join(subject.command), subject.plain
        fail(f"{command!r} ended with exit code {result.code}; {result.last_error!r}")


@pytest.mark.applies_to(rows=is_served)
def test_a_service_that_is_not_there_is_worth_another_try(subject: Subject) -> None:
    """Its service out of reach: another try later, with 75, and that known in seconds

    Why: 75 is tried again, and by then the service may be back; a person must see what is missing.

    Mend: exit with 75; name the address in the last line on stderr; wait some seconds, not minutes.
    """
    if subject.obstacle not in ("", "unknown"):
        pytest.skip("it runs only without one of the walls below")
    require_sentence(subject.plain, TRY_AGAIN, NOWHERE)
    if subject.plain.seconds > PATIENCE:
        fail(f"it took {subject.plain.seconds:.0f} s to say that nobody answers")


def test_it_needs_no_writable_root(subject: Subject) -> None:
    """It writes to /out and /tmp alone: the root file system is read-only

    Why: what a container writes elsewhere is lost with it, or is shared by mistake.

    Mend: write results to /out and all else to /tmp; drop VOLUME from the Dockerfile.
    """
    volumes = set(subject.attributes["Config"].get("Volumes") or ()) - {"/out", "/tmp"}
    refuse_if([f"VOLUME {name} would be writable" for name in sorted(volumes)])
    if subject.obstacle.startswith("root"):
        fail(f"it runs only if it can write to its own files; {subject.plain.last_error!r}")


def test_it_needs_no_network(subject: Subject) -> None:
    """It needs no network

    Why: without a network a stage cannot leak data, and gives the same result tomorrow.

    Mend: put what it fetches into the image, or give the row network = true.
    """
    if subject.row.network:
        pytest.skip("its row gives it a network")
    if subject.obstacle == "network":
        fail(f"it runs only with a network; {subject.plain.last_error!r}")


def test_it_stays_under_its_memory_limit(subject: Subject) -> None:
    """It stays under the memory limit of its row

    Why: the kernel kills what takes more, and the task fails after all its tries.

    Mend: read in pieces, or raise limits.memory of the row.
    """
    if subject.row.network and subject.obstacle != "memory":
        subject.written()
    if subject.obstacle == "memory":
        limit = subject.row.limits.memory // 2**20
        fail(f"it was killed at {limit} MiB, on inputs of some hundred rows")


def test_any_user_may_run_it(subject: Subject) -> None:
    """Any uid may run it

    Why: it runs as the user who installed the platform, whose uid no image can know.

    Mend: make the image's files readable for all; do not look the user up, do not use its home.
    """
    if subject.obstacle == "user":
        fail(f"it runs as root alone; {subject.plain.last_error!r}")
    subject.started()
    result = subject.run(user="12345:54321")
    if result.code != subject.expected:
        fail(f"as uid 12345 it ended with exit code {result.code}; {result.last_error!r}")


def test_declared_files_are_there(subject: Subject) -> None:
    """It writes every file that its row declares, and summary.json

    Why: unless all are there nothing is published, and the stages after it never start.

    Mend: write all of the row's `files`, none of them empty, to /out.
    """
    refuse_if(list(missing(subject.written().out, (*subject.row.files, SUMMARY))))


def test_what_it_writes_are_files(subject: Subject) -> None:
    """It writes regular files alone

    Why: a link may lead anywhere once the directory is published.

    Mend: write the file itself in the place of the link or device.
    """
    refuse_if(list(wrong_kinds(subject.written().out)))


def test_the_summary_is_one_flat_object(subject: Subject) -> None:
    """summary.json is one flat JSON object

    Why: Airflow shows and keeps it as the task's result.

    Mend: write names and single values; put what is nested into a file of its own.
    """
    path = subject.written().out / SUMMARY
    refuse_if(list(not_flat(path)) if path.is_file() else [])


def test_files_are_well_formed(subject: Subject) -> None:
    """CSV files have a header and rows as long as it; JSON files are JSON

    Why: a reader fails on them, or worse, fills up what is missing.

    Mend: quote fields as RFC 4180 says, write UTF-8, write no NaN into JSON.
    """
    refuse_if(list(ill_formed(subject.written().out)))


def test_files_hold_what_they_must(subject: Subject) -> None:
    """Columns, rows and keys of its files are those of the contract

    Why: the stages after it rely on them.

    Mend: write what was expected; tests/stages/contract/formats.py is all that is.
    """
    check = FORMATS.get(subject.work)
    if subject.row.network:
        subject.written()
    if check:
        refuse_if(list(check(subject.inputs, subject.well_formed().out))[:3])


def test_the_same_run_gives_the_same_bytes(subject: Subject) -> None:
    """The same inputs and parameters give the same bytes

    Why: or else nobody can tell what a change of data or of an image has changed.

    Mend: take randomness from --seed; write no time and no host name; sort sets.
    """
    first = contents(subject.written().out)
    time.sleep(max(0, subject.ended + 1 - time.monotonic()))  # a clock that is written shows
    again = subject.run(cpuset_cpus="0", hostname="elsewhere", environment={"OMP_NUM_THREADS": "1"})
    if again.code != 0:
        fail(f"on one core it ended with exit code {again.code}; {again.last_error!r}")
    second = contents(again.out)
    names = sorted(n for n in {*first, *second} if first.get(n) != second.get(n))
    refuse_if([f"{name} differs between two runs" for name in names])


def test_several_days_in_one_run_are_each_as_if_alone(subject: Subject) -> None:
    """Several days in one run: each is as if it alone had been run

    Why: what a backfill publishes is to be what daily runs would.

    Mend: leave nothing of a day for the next, as by a process for each; or take the label off.
    """
    result, alone = subject.several, contents(subject.plain.out)
    if result.code != 0:
        fail(f"exit code {result.code}; {result.last_error!r}")
    for day in (THREE_DAYS[0], THREE_DAYS[-1]):
        found = of_day(result, day)
        if found.code != 0:
            fail(f"{day} ended with exit code {found.code}; {found.last_error!r}")
        written = contents(found.out)
        names = sorted(n for n in {*alone, *written} if alone.get(n) != written.get(n))
        refuse_if([f"{name} of {day} differs from that of a run alone" for name in names])
    lines = (result.stdout + result.stderr).splitlines()
    unnamed = [line for line in lines if not line.startswith(tuple(f"{d}  " for d in THREE_DAYS))]
    refuse_if([f"a line of the log does not begin with its day: {line!r}" for line in unnamed[:1]])


def test_a_day_that_fails_stops_no_other(subject: Subject) -> None:
    """Several days in one run: one that fails says why, and stops no other

    Why: it is told by itself, and the days after it can be published.

    Mend: write code and last_line to /out/<day>.json, and go on with the next day.
    """
    result = subject.several
    require_sentence(of_day(result, THREE_DAYS[1]), USAGE, "dance")
    of_day(result, THREE_DAYS[-1])


@pytest.mark.applies_to(rows=keeps_rows)
def test_rows_keep_their_order(subject: Subject) -> None:
    """Each row of the output is that of the same row of the input

    Why: outputs are joined to what they belong to by position.

    Mend: write a row for each row, in order, whatever the rows around it are.
    """
    file, written = ROW_BY_ROW[subject.work]
    before = read_table(subject.published().out / written).rows
    newest = subject.newest(file)
    inputs: dict[str, Input] = {
        name: path
        for name, path in subject.inputs.items()
        if name == newest or name.partition("/")[0] != file.partition("/")[0]
    }
    header, *rows = rows_of((subject.inputs[newest] / file.partition("/")[2]).read_bytes())
    inputs[newest] = {file.partition("/")[2]: as_csv([header, *reversed(rows)])}
    result = subject.run(inputs=inputs)
    if result.code != 0:
        fail(f"the rows in reverse: exit code {result.code}; {result.last_error!r}")
    after = read_table(result.out / written).rows[::-1]
    pairs = zip(before[len(before) - len(after) :], after, strict=True)
    for number, (one, other) in enumerate(pairs, 1):
        if not same_cells(one, other):
            fail(f"the rows in reverse: row {number} was {one} and is {other}"[:400])


@pytest.mark.applies_to(rows=reads_something)
def test_a_table_may_be_spelled_otherwise(subject: Subject) -> None:
    """A table with a byte order mark, CRLF and quotes is read too

    Why: it is what spreadsheets write.

    Mend: read CSV with a library, or skip U+FEFF at the start, CR at line ends, and quotes.
    """
    subject.written()

    def spreadsheet(content: bytes) -> bytes:
        lines = (",".join('"' + f.replace('"', '""') + '"' for f in r) for r in rows_of(content))
        return b"\xef\xbb\xbf" + "".join(f"{line}\r\n" for line in lines).encode()

    result = subject.run(inputs=subject.with_tables(spreadsheet))
    if result.code != 0:
        fail(f"exit code {result.code}; {result.last_error!r}")


def test_a_full_disk_is_no_success(subject: Subject) -> None:
    """A full disk is worth another try: neither success nor the data's fault

    Why: after 0 half a file is published; after 64, 65 or 66 nobody tries again.

    Mend: check that writing and closing succeeded; exit with 75 if not.
    """
    subject.written()
    result = subject.run(out_size="4k")
    if result.code in ENDED:
        fail(f"with 4 KiB for its output, exit code {result.code}; {result.last_error!r}")


def test_sigterm_ends_it_within_two_seconds(subject: Subject, tmp_path: Path) -> None:
    """SIGTERM ends it within two seconds

    Why: a task that is stopped or timed out must not go on working.

    Mend: handle SIGTERM, also while a library works; exit with 143.
    """
    subject.started()
    ignored = []  # exit codes of runs that went on to their own end
    for number, part in enumerate(parts_of(subject)):
        met, code, seconds = stopped(subject, tmp_path / str(number), part)
        if met and seconds > 2:
            fail(f"it went on for {seconds:.1f} s")
        if met and code not in {*ENDED, subject.expected}:
            return
        ignored += [code] if met else []
        # A single one may have been at its end when the signal came. Much earlier, a program is
        # not yet what answers to the signal.
        if subject.row.network and len(ignored) > 1:
            break
    if ignored:
        fail(f"it ended with exit code {ignored[-1]}, as if it had not been stopped")
    fail(
        f"not tested: in {len(parts_of(subject))} runs it had always ended before the signal came;"
        " check again on a machine that does less"
    )


def parts_of(subject: Subject) -> list[float]:
    """When to send the signal: parts of the time that the short run took, each for another try.

    While it works on many rows or, if it is too fast for that, waits for a reader of its output
    (0). One whose service is not here soon ends by itself, and on a machine that does much else the
    short run may have taken many times as long as the next.
    """
    if subject.row.network:
        return [0.5**n for n in range(1, 8)]
    return [1, 0.5, 0] if subject.inputs else [0]


def stopped(subject: Subject, out: Path, part: float) -> tuple[bool, int, float]:
    """Whether SIGTERM met a container that ran, its exit code, and seconds from there to the end.

    SIGTERM comes after `part` of the time that the short run took; 0: when it has to wait.
    """

    def longer(content: bytes) -> bytes:
        header, rows = content.split(b"\n", 1)
        return header + b"\n" + rows * REPEATED

    out.mkdir()
    out.chmod(0o777)
    if not part:
        fifo = out / subject.row.files[0]
        os.mkfifo(fifo)
        fifo.chmod(0o666)
    inputs: Mapping[str, Input] = subject.inputs
    if not subject.row.network:
        inputs = subject.with_tables(longer)
    with subject.start_run(inputs, out=out) as c:
        time.sleep((part or 1) * max(subject.plain.seconds, 0.1))
        met = False
        with suppress(APIError):  # it is not running any more
            c.kill("SIGTERM")
            met = True
        sent = time.monotonic()
        return met, finished(c, timeout=5), time.monotonic() - sent


def test_the_stages_after_it_can_read_it(subject: Subject, tmp_path: Path) -> None:
    """The platform publishes it, and the stages after it can read it

    Why: swapping one stage must not break the others.

    Mend: write what that stage expects: the sentence is its own.
    """
    subject.published()
    if list(not_flat(subject.plain.out / SUMMARY)):
        pytest.skip("its summary is refused: see above")
    pipeline = subject.pipeline.copy(tmp_path / "data", subject.case)
    try:
        pipeline.output(subject.row.stage)
        for stage in pipeline.after(subject.row.stage):
            out, inputs = pipeline.output(stage), pipeline.inputs(stage)
            check = FORMATS.get(TABLE.row(stage).work)
            refuse_if([f"{stage}: {p}" for p in (check(inputs, out) if check else ())][:3])
    except StageError as error:
        fail(str(error))


def test_a_missing_directory_is_refused_with_66(subject: Subject, folder: str) -> None:
    """{folder}/ missing: refused with 66

    Why: 66 fails a task at once, and the sentence tells which stage to run first.

    Mend: exit with 66; name the directory in the last line on stderr.
    """
    subject.started()
    inputs = {k: v for k, v in subject.inputs.items() if k.partition("/")[0] != folder}
    result = subject.refused(inputs=inputs)
    if subject.row.network and subject.same(result):
        pytest.skip(f"it does without {folder}/")
    require_sentence(result, NO_INPUT, folder)


def test_a_missing_file_is_refused_with_66(subject: Subject, file: str) -> None:
    """{file} missing: refused with 66, or never read

    Why: 66 fails a task at once, and the sentence tells which file to provide.

    Mend: exit with 66; name the file in the last line on stderr.
    """
    subject.started()
    if subject.needs(file):
        require_sentence(subject.harmed(file, None), NO_INPUT, file.rpartition("/")[2])


def test_harm_is_refused_with_65(subject: Subject, file: str, harm: Harm) -> None:
    """{file}, {harm}: refused with 65

    Why: 65 fails a task at once; bad data that is taken for good ends in wrong predictions.

    Mend: exit with 65; name file, row and column, where there are any, in the last line on stderr.
    """
    subject.started()
    if not subject.needs(file):
        pytest.skip(f"it does not read {file}")
    words = [file.rpartition("/")[2]]
    if subject.row.network or file in SEALED.get(subject.work, ()):
        require_sentence(subject.harmed(file, harm), BAD_DATA, *words)
        return
    if harm in ROW_NAMED | TARGET_NAMED:
        words.append(str(ROW))
    if harm in NUMBER_NAMED:
        content = (subject.inputs[subject.newest(file)] / words[0]).read_bytes()
        words.append(a_numeric_column(rows_of(content)))
    if harm in TARGET_NAMED:
        words.append("target")
    require_sentence(subject.harmed(file, harm), BAD_DATA, *words)
