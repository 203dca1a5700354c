"""Write one day of synthetic data for a binary classification.

16 numeric columns (4, 2 or 0 decimals) and 4 of text, some values missing; the target is 1 in
three rows out of ten, and noisy: the best possible ROC AUC is about 0.84. The seed makes the world
(centres, spreads, effects on the target), seed and date together make the rows. From day to day
distributions and effects move along waves of one to three years, which --drift scales; at 0 all
days are alike.
"""

import argparse
import datetime
import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

OUT = Path(os.environ.get("MICROSTAGE_OUT", "/out"))
WRONG_USAGE, TRY_AGAIN = 64, 75

DECIMALS = (4,) * 8 + (2,) * 4 + (0,) * 4
LEVELS = {
    "colour": ("red", "green", "blue"),
    "region": ("north", "north-east", "east", "south", "west"),
    "material": ("oak", "pine", "steel", "glass", "brick", "stone", "cork", "felt", "clay", "jute"),
    "supplier": tuple(f"S{number:02}" for number in range(40)),
}
NAMES = [f"x{number:02}" for number in range(1, 17)] + list(LEVELS)
MISSING = {"x02": 0.02, "x07": 0.10, "x11": 0.05, "region": 0.03}
SCORE_SPREAD, SCORE_BIAS = 1.75, -1.28  # give the share of 1 and the best AUC said above
CHUNK = 8192  # rows at a time: memory stays flat, and a chunk fits in the processor's cache

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


class Parser(argparse.ArgumentParser):
    """An argument parser that ends with 64 and one sentence instead of argparse's 2."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG_USAGE, f"{message}: see --help\n")


def between(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """Return an argparse type: a number of that kind from `low` to `high`, both included."""

    def parse(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value

    parse.__name__ = kind.__name__
    return parse


def calendar_day(text: str) -> datetime.date:
    """Be an argparse type: a day as YYYY-MM-DD, without the other forms that ISO 8601 has."""
    with suppress(ValueError):
        if str(day := datetime.date.fromisoformat(text)) == text:
            return day
    raise argparse.ArgumentTypeError(f"{text!r} is not a day written YYYY-MM-DD")


def end_on_signal() -> None:
    """End at once on SIGTERM and SIGINT, as PID 1 and inside a long C call too.

    Python runs handlers in the main thread only, once its C call is over; the wake-up descriptor
    is written at once, whichever thread the signal reached.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    # PID 1 ignores every signal that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=lambda: os._exit(128 + os.read(reader, 1)[0]), daemon=True).start()


def main(argv: Sequence[str]) -> int:
    """Run one verb; return the exit code, with one sentence on stderr when it is not 0."""
    end_on_signal()
    args = parse_arguments(argv)
    try:
        summary = json.dumps(args.run(args), indent=2) + "\n"
        (OUT / "summary.json").write_text(summary, encoding="utf-8")
        return 0
    except MemoryError:
        sentence = "memory ran out: give the stage more"
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sentence = "the disk of the output is full: free some space, or ask for fewer rows"
        else:
            sentence = f"{error}: check the disk, then try again"
    print(" ".join(sentence.split()), file=sys.stderr)
    return TRY_AGAIN


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parameters of one verb, and in `run` the function that does it."""
    parser = Parser(prog="generate", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    generate = verbs.add_parser("generate", allow_abbrev=False, help="write data.csv, target.csv")
    generate.set_defaults(run=run_generate)
    generate.add_argument("--date", type=calendar_day, required=True)
    generate.add_argument("--rows", type=between(int, 1, 10**9), default=10_000)
    generate.add_argument("--drift", type=between(float, 0, 10), default=1.0)
    generate.add_argument("--seed", type=between(int, 0, 2**31 - 1), default=17)
    return parser.parse_args(argv)


def run_generate(args: argparse.Namespace) -> dict[str, Any]:
    """Write data.csv and target.csv and return the summary."""
    ordinal = args.date.toordinal()
    law = law_of(np.random.default_rng(args.seed), ordinal, args.drift)
    rng = np.random.default_rng([args.seed, ordinal])
    ones = 0
    with (OUT / "data.csv").open("wb") as data, (OUT / "target.csv").open("wb") as labels:
        data.write(",".join(NAMES).encode())
        labels.write(b"target\n")
        for start in range(0, args.rows, CHUNK):
            numbers, codes, target = draw(rng, law, min(CHUNK, args.rows - start))
            gaps = {name: rng.random(len(target)) < share for name, share in MISSING.items()}
            data.write(csv_rows(numbers, codes, gaps))
            labels.write(np.where(target, b"1\n", b"0\n").tobytes())
            ones += int(target.sum())
        data.write(b"\n")
    print(f"{args.date}: {args.rows} rows, {ones} of them 1")
    return {"date": str(args.date), "rows": args.rows, "target_rate": round(ones / args.rows, 6)}


class Law(NamedTuple):
    """What the rows of one day are drawn from."""

    centre: Floats  # (16,)
    spread: Floats  # (16,)
    effects: Floats  # (17,) of one spread; the last of columns 0 times 1, which is not linear
    shares: list[Floats]  # (levels,) for each text column, sum 1
    level_effects: list[Floats]  # (levels,) for each text column, mean 0 over the rows
    scale: float  # from the sum of effects to the score


def law_of(world: np.random.Generator, day: int, drift: float) -> Law:
    """Return the law of a day, counted as date.toordinal() does; `world` is fresh of the seed."""

    def wave(size: int) -> Floats:
        period, phase = world.uniform(365, 1095, size), world.uniform(0, 1, size)
        return drift * np.sin(2 * np.pi * (day / period + phase))

    spread = world.uniform(0.5, 2, 16) * 10 ** (2 - np.array(DECIMALS) / 2)
    centre = spread * (world.uniform(-3, 3, 16) + wave(16))
    effects = world.normal(0, 1, 17) + wave(17)
    shares, level_effects = [], []
    for levels in map(len, LEVELS.values()):
        weights = np.exp(world.normal(0, 0.7, levels) + wave(levels))
        shares.append(weights / weights.sum())
        raw = world.normal(0, 1, levels) + wave(levels)
        level_effects.append(raw - raw @ shares[-1])
    # The summands of the score are independent, with mean 0. Brought to one variance, it keeps
    # the share of 1 and the best AUC where they are, whatever drifts.
    variance = effects @ effects + sum(
        share @ effect**2 for share, effect in zip(shares, level_effects, strict=True)
    )
    scale = SCORE_SPREAD / float(variance) ** 0.5
    return Law(centre, spread, effects, shares, level_effects, scale)


def draw(
    rng: np.random.Generator, law: Law, rows: int
) -> tuple[Floats, list[Codes], NDArray[np.bool_]]:
    """Return numbers (16, rows), codes (rows,) of each text column, and the target (rows,)."""
    deviation = rng.standard_normal((16, rows))
    # einsum, unlike the matrix product, adds up in the same order on every machine.
    score = np.einsum("c,cr->r", law.effects[:16], deviation)
    score += law.effects[16] * deviation[0] * deviation[1]
    codes = []
    for shares, effects in zip(law.shares, law.level_effects, strict=True):
        codes.append(np.searchsorted(np.cumsum(shares)[:-1], rng.random(rows), side="right"))
        score += effects[codes[-1]]
    target = rng.random(rows) < 1 / (1 + np.exp(-SCORE_BIAS - law.scale * score))
    return law.centre[:, None] + law.spread[:, None] * deviation, codes, target


def words(texts: Sequence[str], length: int) -> NDArray[np.uint32]:
    """Return texts as rows of `length` words of 4 bytes; what is left of a row is zero bytes."""
    return np.array([t.encode() for t in texts], f"S{4 * length}").view("u4").reshape(-1, length)


# Looking a cell's bytes up is several times faster than formatting it. A number is two lookups,
# ",-12." and "3456". The last entry of a table is the cell of a missing value.
WHOLE, FRACTION = {}, {}
for d in set(DECIMALS):
    point = "." if d else ""
    WHOLE[d] = words([f",{sign}{n}{point}" for sign in ("", "-") for n in range(10**4)] + [","], 2)
    FRACTION[d] = words([f"{n:0{d}}" if d else "" for n in range(10**d)] + [""], 1)
TEXT = {name: words([f",{level}" for level in (*LEVELS[name], "")], 3) for name in LEVELS}


def csv_rows(numbers: Floats, codes: list[Codes], gaps: dict[str, NDArray[np.bool_]]) -> bytes:
    """Return the rows as CSV, a line break before each; `gaps` tells what is missing by column."""
    rows = numbers.shape[1]
    cells = np.zeros((rows, len(NAMES), 3), np.uint32)
    for column, (name, decimals) in enumerate(zip(NAMES, DECIMALS, strict=False)):
        scaled = np.rint(numbers[column] * 10**decimals).astype(np.int32)
        size = np.abs(scaled)
        whole = size // 10**decimals
        fraction = size - whole * 10**decimals  # np.divmod takes thrice the time
        whole[scaled < 0] += 10**4
        if name in gaps:
            whole[gaps[name]] = fraction[gaps[name]] = -1
        cells[:, column, :2] = WHOLE[decimals][whole]
        cells[:, column, 2:] = FRACTION[decimals][fraction]
    for column, (name, code) in enumerate(zip(LEVELS, codes, strict=True), start=len(DECIMALS)):
        cells[:, column] = TEXT[name][np.where(gaps[name], -1, code) if name in gaps else code]
    cells.view(np.uint8)[:, 0, 0] = ord("\n")
    return cells.tobytes().translate(None, b"\0")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
