"""The stage in /app/stage.py, wrong in the ways that the environment's FAULTS names.

Each fault is done to the stage with those before it.
"""

import contextlib
import csv
import importlib
import io
import json
import os
import random
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

stage: Any = importlib.import_module("stage")

OUT = Path("/out")
SUMMARY = OUT / "summary.json"
FAULTS = os.environ["FAULTS"].split()


def run(argv: list[str]) -> int:
    """The stage with the faults that are not begun yet; as it is, where there are none."""
    return globals()[FAULTS.pop()](argv) if FAULTS else int(stage.program.run(argv))


def rewrite_summary(**more: object) -> None:
    if SUMMARY.exists():
        SUMMARY.write_text(json.dumps(json.loads(SUMMARY.read_text()) | more))


def change_rows(name: str, change: Callable[[list[str]], list[str]]) -> None:
    if SUMMARY.exists():
        header, *rows = (OUT / name).read_text().splitlines(keepends=True)
        (OUT / name).write_text("".join([header, *change(rows)]))


def random_output(argv: list[str]) -> int:
    code = run(argv)
    change_rows("target.csv", lambda rows: random.sample(rows, len(rows)))
    return code


def clock_in_output(argv: list[str]) -> int:
    code = run(argv)
    rewrite_summary(finished=time.time())
    return code


def host_name_in_output(argv: list[str]) -> int:
    code = run(argv)
    rewrite_summary(host=socket.gethostname())
    return code


def nested_summary(argv: list[str]) -> int:
    code = run(argv)
    rewrite_summary(columns={"x01": "number"})
    return code


def exits_1(argv: list[str]) -> int:
    return run(argv) and 1


def usage_2(argv: list[str]) -> int:
    try:
        return run(argv)
    except SystemExit as end:
        return 2 if end.code else 0


def deaf_to_sigterm(argv: list[str]) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal = lambda *_: None
    return run(argv)


def knows_its_user(argv: list[str]) -> int:
    code = run(argv)
    if os.getuid() == 12345:
        print("getpwuid(): uid not found: 12345", file=sys.stderr)
        return 1
    return code


def root_alone(argv: list[str]) -> int:
    code = run(argv)
    if os.getuid():
        print("Permission denied: /app/settings", file=sys.stderr)
        return 1
    return code


def writes_elsewhere(argv: list[str]) -> int:
    code = run(argv)
    Path("/var/state/last").write_text("kept")
    return code


def needs_network(argv: list[str]) -> int:
    code = run(argv)
    # A datagram socket sends nothing on connect: this asks only whether there is a way out.
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 9))
    return code


def takes_memory(argv: list[str]) -> int:
    code = run(argv)
    bytearray(b"x") * 2**31
    return code


def link_as_output(argv: list[str]) -> int:
    code = run(argv)
    if code == 0:
        (OUT / "latest.csv").symlink_to("data.csv")
    return code


def file_missing(argv: list[str]) -> int:
    code = run(argv)
    (OUT / "target.csv").unlink(missing_ok=True)
    return code


def no_summary(argv: list[str]) -> int:
    code = run(argv)
    SUMMARY.unlink(missing_ok=True)
    return code


def csv_not_whole(argv: list[str]) -> int:
    code = run(argv)
    change_rows("data.csv", lambda rows: [*rows[:-1], rows[-1].rpartition(",")[0] + "\n"])
    return code


def drops_rows(argv: list[str]) -> int:
    code = run(argv)
    change_rows("data.csv", lambda rows: rows[:-1])
    return code


def sorts_rows(argv: list[str]) -> int:
    code = run(argv)
    for path in OUT.glob("*.csv"):
        change_rows(path.name, sorted)
    return code


def never_works(argv: list[str]) -> int:
    run(argv)
    print("no", file=sys.stderr)
    return 1


def no_help(argv: list[str]) -> int:
    if "--help" in argv:
        print("there is no help", file=sys.stderr)
        return 64
    return run(argv)


def any_parameter(argv: list[str]) -> int:
    at = argv.index("--dance") if "--dance" in argv else len(argv)
    return run(argv[:at])


def ignores_full_disk(argv: list[str]) -> int:
    return 0 if (code := run(argv)) == 75 else code


def traceback_on_stderr(argv: list[str]) -> int:
    code = run(argv)
    if code == 65:
        try:
            raise ValueError(code)
        except ValueError:
            traceback.print_exc()
    return code


def says_nothing(argv: list[str]) -> int:
    code = 0
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            code = run(argv)
    finally:
        if code != 65:
            print(said.getvalue(), end="", file=sys.stderr)
    return code


def mends_rows(argv: list[str]) -> int:
    """Fill up rows that are cut short, as pandas does."""
    mended = Path("/tmp/in")
    if Path("/in").exists():
        shutil.copytree("/in", mended)
    for path in mended.rglob("*.csv"):
        lines = path.read_text("utf-8-sig").splitlines()
        width = len(next(csv.reader(lines), []))
        rows = zip(lines, csv.reader(lines), strict=True)
        full = [line + "," * (width - len(row)) for line, row in rows]
        path.chmod(0o600)
        path.write_text("\n".join([*full, ""]) if full else "")
    for name, module in list(sys.modules.items()):  # the frame's and the stage's own know it
        at = str(getattr(module, "__file__", ""))
        if at.startswith("/app/") or name.startswith("stageframe."):
            vars(module).update(dict.fromkeys({"IN"} & vars(module).keys(), mended))
    return run(argv)


def missing_is_bad(argv: list[str]) -> int:
    return 65 if (code := run(argv)) == 66 else code


def model_without_end(argv: list[str]) -> int:
    code = run(argv)
    if code == 0:
        model = (OUT / "model.txt").read_text()
        (OUT / "model.txt").write_text(model[: model.index("end of trees")])
    return code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
