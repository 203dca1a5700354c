"""Record models in MLflow, put them into production and out of it, and fetch the one in it."""

import argparse
import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from connection import UnreachableError, address, mlflow_client, unless_there
from production import PREVIOUS, PRODUCTION, Aliases, Approval, aliases, promote, rollback
from published import (
    IN,
    INPUT_MISSING,
    TRY_AGAIN,
    VERSION,
    WRONG_USAGE,
    StageError,
    read_comparison,
    read_version,
    shown,
    spoken,
)
from record import Record
from tracking import register
from versions import copy_newest, describe, download

OUT = Path(os.environ.get("MICROSTAGE_OUT", "/out"))


class Parser(argparse.ArgumentParser):
    """An argument parser that ends with 64 and one sentence instead of argparse's 2."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG_USAGE, f"{message}: see --help\n")


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


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object, the same bytes for the same value."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def main(argv: Sequence[str]) -> int:
    """Run one verb; return the exit code, with one sentence on stderr when it is not 0."""
    end_on_signal()
    args = parse_arguments(argv)
    try:
        address()
        write_json(OUT / "summary.json", args.run(args))
        return 0
    except StageError as error:
        code, sentence = error.code, str(error)
    except MemoryError:
        code, sentence = TRY_AGAIN, "memory ran out: give the stage more"
    except OSError as error:
        if str(error.filename).startswith(f"{IN}/"):
            code = INPUT_MISSING
            sentence = f"{shown(error.filename)}: {error.strerror}: run the stage that writes it"
        elif error.errno in (errno.ENOSPC, errno.EDQUOT):
            code, sentence = TRY_AGAIN, "the disk of the output is full: free some space"
        else:
            code, sentence = TRY_AGAIN, f"{error}: check the disk, then try again"
    print(" ".join(sentence.split()), file=sys.stderr)
    return code


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parameters of one verb, and in `run` the function that does it."""
    parser = Parser(
        prog="registry",
        description=__doc__,
        allow_abbrev=False,
        epilog="MLflow is found by MLFLOW_TRACKING_URI, MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD in the environment.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for run, text in (
        (run_track, "record a model with all that made it, as a new version"),
        (run_promote, f"give a version the alias {PRODUCTION}, the one before {PREVIOUS}"),
        (run_rollback, "take a version out of production, and the one before back in"),
        (run_fetch, "write the files of the version in production"),
    ):
        verb = verbs.add_parser(run.__name__[len("run_") :], allow_abbrev=False, help=text)
        verb.set_defaults(run=run)
        verb.add_argument(
            "--name", default="microstage", help="registered model (default: microstage)"
        )
        if run is run_track:
            verb.add_argument("--date", type=day, required=True, help="of the model: 2013-01-06")
        if run is run_promote:
            verb.add_argument(
                "--approved-by",
                type=one_line,
                metavar="TEXT",
                help="who or what said yes: admin, or auto_promotion=better",
            )
    return parser.parse_args(argv)


def day(text: str) -> str:
    """Return a date as it is written, YYYY-MM-DD. Raises ValueError."""
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError
    return text


def one_line(text: str) -> str | None:
    """Return a text with single spaces, None for an empty one. Raises ValueError."""
    text.encode()  # what is not UTF-8 cannot be written
    return " ".join(text.split()) or None


def run_track(args: argparse.Namespace) -> dict[str, Any]:
    """Record what is in /in as a run and a version, unless it is there; return the summary."""
    record = Record(args.name, args.date)
    with mlflow_client(args.name) as (client, model):
        if model is None:
            with unless_there():
                client.create_registered_model(args.name)
        version, created = register(client, record)
        described = describe(version)
    write_json(OUT / VERSION, described)
    print(f"{args.name}: version {version.version}{'' if created else ' was there already'}")
    return {
        **{key: described[key] for key in ("name", "version", "run_id", "experiment_id")},
        **{name: value for name, value in record.metrics.items() if name != "rows"},
        "created": created,
    }


def run_promote(args: argparse.Namespace) -> dict[str, Any]:
    """Put /in/version into production, unless another has come in since; return the summary."""
    chosen, (champion, verdict) = read_version("version", args.name), read_comparison()
    approval: Approval = {"approved_by": args.approved_by, "verdict": verdict or None}
    with mlflow_client(args.name) as (client, model):
        now, approval, changed = promote(client, model, chosen, champion, approval)
    return write_aliases("promotion.json", args.name, now, approval, changed=changed)


def run_rollback(args: argparse.Namespace) -> dict[str, Any]:
    """Let production and previous change places, if /in/production is in; return the summary."""
    out = read_version("production", args.name)["version"]
    with mlflow_client(args.name) as (client, model):
        now, changed = rollback(client, model, args.name, out)
    return write_aliases("rollback.json", args.name, now, {}, changed=changed)


def write_aliases(
    file: str, name: str, now: Aliases, approval: Approval, *, changed: bool
) -> dict[str, Any]:
    """Write which version is in production now, and which was before; return the summary."""
    production, previous = now
    content = {"name": name, PRODUCTION: production, PREVIOUS: previous, **approval}
    write_json(OUT / file, content)
    print(f"{name}: production is {spoken(production)}, previous is {spoken(previous)}")
    return {**content, "changed": changed}


def run_fetch(args: argparse.Namespace) -> dict[str, Any]:
    """Write the version in production, or a local copy if MLflow is down; return the summary."""
    try:
        with mlflow_client(args.name) as (client, model):
            production, _ = aliases(model)
            if production is None:
                raise StageError(
                    f"There is no model of the name {args.name} in production yet: approve one in "
                    "the DAG train_model",
                    INPUT_MISSING,
                )
            described = download(client.get_model_version(args.name, production), OUT)
        source, warning = "registry", None
    except UnreachableError as error:
        copy = copy_newest(args.name, OUT)
        if copy is None:
            raise
        described, source = copy
        warning = f"{error}; until then {source} is used"
        print(f"WARNING: {warning}", file=sys.stderr)
    write_json(OUT / VERSION, described)
    print(f"{args.name}: version {described['version']} of {described['date']}, from {source}")
    facts = {key: described[key] for key in ("name", "version", "run_id", "date")}
    return {**facts, "served_from": source, "warning": warning}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
