"""Whatever is wrong with what a stage reads, it ends by itself, with a code and a sentence.

Some cases each time, and 10,000 a stage in `scripts/test soak`. A case goes by the seed and its
number alone.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from contract.formats import ill_formed, missing, wrong_kinds
from harness import Engine, fail
from pipeline import Pipeline
from soak.batches import BATCH, Ending, run_alone, run_batch
from soak.drawn import Case, draw_case
from soak.subjects import Ready, Subject, ready, subjects

from microstage.data_folder import SUMMARY
from microstage.errors import TRY_AGAIN
from microstage.table import Row

CODES = {0, 64, 65, 66}
SHOWN = 25  # faults of a stage
LONGEST = 600  # letters of a sentence


@pytest.mark.parametrize("subject", subjects(), ids=str)
def test_a_stage_ends_with_a_code_and_a_sentence_whatever_it_reads(
    subject: Subject,
    engine: Engine,
    pipeline_of: Callable[[Subject], Pipeline],
    seed: str,
    first: int,
    number: int,
) -> None:
    began, what = time.monotonic(), ready(subject, engine, pipeline_of(subject))
    codes, faults = Counter[str](), dict[str, str]()
    for name, case, ending in endings(subject, what, engine, seed, range(first, first + number)):
        codes[str(ending.code)] += 1
        for fault in faults_of(ending, subject.row):
            kind = re.sub(r"'[^']*'|\d+", "…", fault)[:160]
            faults.setdefault(kind, f"case {int(name)}: {fault}\n      {'; '.join(case.harms)}")
            codes[f"! {kind[:60]}"] += 1
    seconds = time.monotonic() - began
    print(f"{subject}: {number} cases of seed {seed} in {seconds:.0f} s: {dict(codes)}")
    if faults:
        image = subject.case.image
        again = f"scripts/test soak {image} -k {subject} --seed {seed} --soak 1 --first"
        told = "\n".join([*faults.values()][:SHOWN])
        fail(f"{len(faults)} kinds of faults; `{again} CASE` repeats one:\n{told}")


def endings(
    subject: Subject, what: Ready, engine: Engine, seed: str, numbers: range
) -> Iterator[tuple[str, Case, Ending]]:
    """Yield number, case and ending of each."""
    run = run_batch if what.days else run_alone
    for start in range(0, len(numbers), BATCH):
        drawn = {
            f"{n:06}": draw_case(f"{seed} {subject} {n}", what.command, what.flags, what.whole)
            for n in numbers[start : start + BATCH]
        }
        for name, ending in run(
            engine, subject.case.image, drawn, what.whole, environment=what.environment
        ):
            yield name, drawn[name], ending


def faults_of(ending: Ending, row: Row) -> Iterator[str]:
    """Yield what is wrong with the way a case has ended."""
    line = ending.line
    if ending.code is None:
        yield line
        return
    if ending.code not in CODES and not (ending.code == TRY_AGAIN and row.network):
        yield f"exit code {ending.code}: {line[:400]!r}"
    if ending.code == 0:
        yield from (*missing(ending.out, (*row.files, SUMMARY)), *wrong_kinds(ending.out))
        yield from ill_formed(ending.out)
        return
    if (ending.out / SUMMARY).exists():
        yield f"it wrote {SUMMARY} all the same: {line!r}"
    if not line.strip() or len(line) > LONGEST or "Traceback" in line or not line.isprintable():
        yield f"exit code {ending.code} with no sentence: {line[:400]!r}"
