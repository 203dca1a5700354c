"""Record models in MLflow, put them into production and out of it, and fetch the one in it."""

import argparse
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

IN = Path(os.environ.get("MICROSTAGE_IN", "/in"))
OUT = Path(os.environ.get("MICROSTAGE_OUT", "/out"))
WRONG_USAGE, BAD_DATA, INPUT_MISSING, TRY_AGAIN = 64, 65, 66, 75
MANIFEST, VERSION = "manifest.json", "version.json"
PRODUCTION, PREVIOUS = "production", "previous"  # aliases of a registered model
KEY = "microstage.key"  # tag of runs and versions: the same for the same inputs and day
SHA256 = "sha256."  # and the name of a file: tag of a version
RAW = (
    "lineage/raw.json"  # artifact: {"raw": {file: sha256}}, too long for a tag; the tag has its own
)
AT_ONCE = 100  # parameters or tags that MLflow takes in one request

# MLflow's own settings, unless the user has set them. https://mlflow.org/docs/latest/api_reference/
# python_api/mlflow.environment_variables.html
SETTINGS = {
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
# Whether MLflow is there is known in a few seconds; then it may take its time over large files.
FIRST = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
THEN = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


class StageError(Exception):
    """What the user has to mend, in one sentence, and the exit code that goes with it."""

    def __init__(self, sentence: str, code: int = BAD_DATA) -> None:
        super().__init__(sentence)
        self.code = code


class UnreachableError(StageError):
    """MLflow does not answer, or cannot do its work now."""

    def __init__(self, what: str) -> None:
        super().__init__(f"MLflow at {address()} {what}: see that it runs, then try again", 75)


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


def shown(path: str | Path) -> str:
    """Return a path as the user knows it: without the root that differs from run to run."""
    return str(path).removeprefix(f"{IN}/").removeprefix(f"{OUT}/")


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
    return parser.parse_args(argv)


def day(text: str) -> str:
    """Return a date as it is written, YYYY-MM-DD. Raises ValueError."""
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError
    return text


# --- the verbs -----------------------------------------------------------------------------------


def run_track(args: argparse.Namespace) -> dict[str, Any]:
    """Record what is in /in as a run and a version, unless it is there; return the summary."""
    manifests = {name: manifest_of(name) for name in ("processed", "split", "model", "validation")}
    model = read_json(IN / "model" / "model.json", "features", "classes", "trained_on")
    metrics = read_json(IN / "validation" / "metrics.json")
    record = Record(args.name, args.date, manifests, model, metrics)
    with mlflow_client(args.name) as (client, model_in_mlflow):
        if model_in_mlflow is None:
            with unless_there():
                client.create_registered_model(args.name)
        version, created = register(client, record)
        described = describe(version)
    write_json(OUT / VERSION, described)
    print(f"{args.name}: version {version.version}{'' if created else ' was there already'}")
    return {
        **{key: described[key] for key in ("name", "version", "run_id", "experiment_id")},
        **{name: value for name, value in record.scalars().items() if name != "rows"},
        "created": created,
    }


def run_promote(args: argparse.Namespace) -> dict[str, Any]:
    """Put /in/version into production, unless another has come in since; return the summary."""
    chosen = chosen_version(IN / "version" / VERSION, args.name)
    compared = compared_with(IN / "comparison" / "comparison.json")
    with mlflow_client(args.name) as (client, model):
        production, previous = aliases(model)
        require_same(client, chosen)
        changed = production != chosen["version"]
        if changed and compared and compared != spoken(production):
            raise StageError(
                f"Production is now {spoken(production)}, but this model was compared with "
                f"{compared}: clear the task champion and what follows, and decide again"
            )
        if changed:
            # In this order a try that was cut short is repaired by the next one, which finds
            # production as it was; and there is always a version in production.
            if production:
                previous = set_alias(client, args.name, PREVIOUS, production)
            production = set_alias(client, args.name, PRODUCTION, chosen["version"])
    return write_aliases("promotion.json", args.name, production, previous, changed=changed)


def run_rollback(args: argparse.Namespace) -> dict[str, Any]:
    """Let production and previous change places, if /in/production is in; return the summary."""
    out = chosen_version(IN / "production" / VERSION, args.name)["version"]
    with mlflow_client(args.name) as (client, model):
        production, previous = aliases(model)
        if production is None:
            raise StageError(f"No version of {args.name} is in production", INPUT_MISSING)
        if production == out and previous in (None, out):
            raise StageError(
                f"Version {out} of {args.name} is in production and none was there before it: "
                "there is nothing to go back to",
                INPUT_MISSING,
            )
        changed = production == out
        if changed:
            production = set_alias(client, args.name, PRODUCTION, str(previous))
        # Both are the same only where a try was cut short between the two calls.
        if previous == production:
            previous, changed = set_alias(client, args.name, PREVIOUS, out), True
    return write_aliases("rollback.json", args.name, production, previous, changed=changed)


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
            version = client.get_model_version(args.name, production)
            described = describe(version)
            download(version, described["files"])
        source, warning = "registry", None
    except UnreachableError as error:
        shutil.rmtree(OUT / ".fetched", ignore_errors=True)
        described, source = copy_newest(args.name, error)
        warning = f"{error}; {source} is used in its place"
        print(f"WARNING: {warning}", file=sys.stderr)
    write_json(OUT / VERSION, described)
    print(f"{args.name}: version {described['version']} of {described['date']}, from {source}")
    facts = {key: described[key] for key in ("name", "version", "run_id", "date")}
    return {**facts, "served_from": source, "warning": warning}


# --- what is read from /in -----------------------------------------------------------------------


class Record:
    """What is told about one model; the same inputs and day have the same key."""

    def __init__(
        self,
        name: str,
        date: str,
        manifests: Mapping[str, dict[str, Any]],
        model: dict[str, Any],
        metrics: dict[str, Any],
    ) -> None:
        """`manifests`: of the directories under /in."""
        self.name, self.date, self.manifests = name, date, manifests
        self._model, self._metrics = model, metrics
        self.data = {
            f"{directory}/{file}": entry["sha256"]
            for directory, manifest in manifests.items()
            for file, entry in manifest["outputs"].items()
        }
        self.raw = {
            file.removeprefix("raw/"): entry["sha256"]
            for file, entry in manifests["processed"]["inputs"].items()
            if file.startswith("raw/") and not file.endswith("/summary.json")
        }
        self.raw_list = json.dumps({"raw": self.raw}, indent=2, ensure_ascii=False) + "\n"
        text = json.dumps([date, self.data, self.raw], sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()
        self.files = {
            file: IN / "model" / file
            for file in manifests["model"]["outputs"]
            if file != "summary.json"
        }
        self.files["metrics.json"] = IN / "validation" / "metrics.json"

    def scalars(self) -> dict[str, float]:
        """Return the metrics that are one number."""
        return {
            name: value
            for name, value in self._metrics.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }

    def params(self) -> dict[str, str]:
        """Return what the model was made by."""
        days = self._model["trained_on"].get("days", [])
        rows = {"rows": self._model["trained_on"].get("rows")}
        window = sorted({file.partition("/")[0] for file in self.raw})
        spans = {"window": window, "trained_on": days}
        found = {
            **self._model.get("params", {}),
            "format": self._model.get("format"),
            "features": len(self._model["features"]),
            "classes": len(self._model["classes"]),
            **{f"{name}_days": len(span) for name, span in spans.items()},
            **{f"{name}_first": min(span) for name, span in spans.items() if span},
            **{f"{name}_last": max(span) for name, span in spans.items() if span},
            **{f"trained_on_{name}": value for name, value in rows.items()},
            **{f"version_{k}": v for k, v in self._model.get("versions", {}).items()},
        }
        return {name: str(value)[:6000] for name, value in found.items()}

    def tags(self) -> dict[str, str]:
        """Return images, digests and Airflow's runs behind the model."""
        found = {KEY: self.key, "date": self.date}
        found |= {f"{SHA256}{file}": sha256 for file, sha256 in self.data.items()}
        for manifest in self.manifests.values():
            stage, run = manifest["stage"], manifest.get("run", {})
            found |= {f"{key}.{stage}": manifest[key] for key in ("image", "image_id")}
            found |= {f"airflow_{key}.{stage}": run[key] for key in ("dag", "run") if run.get(key)}
        return {name: str(value)[:5000] for name, value in found.items()}

    def artifacts(self) -> Iterator[tuple[str, Path | str]]:
        """Yield path in MLflow, and the file or text that goes there."""
        for file, path in self.files.items():
            yield f"model/{file}", path
        for file in self.manifests["validation"]["outputs"]:
            if file != "summary.json":
                yield f"validation/{file}", IN / "validation" / file
        for directory, manifest in self.manifests.items():
            yield f"lineage/{manifest['stage']}.json", IN / directory / MANIFEST
        yield RAW, self.raw_list


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Return a JSON object that has these keys."""

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is no number")

    try:
        value = json.loads(path.read_bytes(), parse_constant=refuse)
    except ValueError as error:
        raise StageError(f"{shown(path)} is not JSON ({error}): write it again") from error
    if not isinstance(value, dict) or not value.keys() >= set(keys):
        needed = ", ".join(keys) or "names and values"
        raise StageError(f"{shown(path)} is no object with {needed}: write it again")
    return value


def manifest_of(directory: str) -> dict[str, Any]:
    """Return the manifest of a directory under /in, all of whose files are as it says."""
    path = IN / directory / MANIFEST
    keys = ("stage", "image", "image_id", "inputs", "outputs")
    manifest = read_json(path, *keys)
    if not re.fullmatch(r"[\w-]+", str(manifest["stage"])):
        raise StageError(f"{shown(path)} names no stage: publish the directory again")
    for file, entry in manifest["outputs"].items():
        if sha256(IN / directory / file) != entry["sha256"]:
            raise StageError(
                f"{directory}/{file} is not as its manifest says: run the stage "
                f"{manifest['stage']} again"
            )
    return manifest


def chosen_version(path: Path, name: str) -> dict[str, Any]:
    """Return a version.json that is of the registered model `name`."""
    chosen = read_json(path, "name", "version", "run_id")
    if chosen["name"] != name:
        raise StageError(f"{shown(path)} is of the model {chosen['name']}: not of {name}")
    chosen["version"] = str(chosen["version"])
    return chosen


def compared_with(path: Path) -> str:
    """Return the version that a comparison.json names, "none", or "" where nothing was compared."""
    if not path.parent.is_dir():
        return ""
    champion = read_json(path, "champion")["champion"]
    if champion is None:
        return spoken(None)
    if not isinstance(champion, dict) or "version" not in champion:
        raise StageError(f"{shown(path)}: champion has no version: run the task compare again")
    return spoken(str(champion["version"]))


def spoken(version: str | None) -> str:
    """Return how a sentence names a version."""
    return f"version {version}" if version else "none"


def sha256(path: Path) -> str:
    """Return the digest of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_newest(name: str, reason: UnreachableError) -> tuple[dict[str, Any], str]:
    """Copy the newest of /in/local/<day>/ to /out; return its version.json and where it was."""
    copies = [path.parent for path in (IN / "local").glob(f"*/{VERSION}")]
    if not copies:
        raise reason
    newest = max(copies, key=published)
    described = read_json(newest / VERSION, "name", "version", "run_id", "date", "files")
    if described["name"] != name or not isinstance(described["files"], dict):
        raise StageError(f"{shown(newest)} is of the model {described['name']}: not of {name}")
    for file, digest in described["files"].items():
        if sha256(newest / file) != digest:
            raise StageError(
                f"{shown(newest / file)} is not as {VERSION} says: remove {newest.name}"
            )
        (OUT / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(newest / file, OUT / file)
    return described, shown(newest)


def published(directory: Path) -> tuple[str, str]:
    """Return what orders published directories by age."""
    try:
        return str(json.loads((directory / MANIFEST).read_bytes())["started"]), directory.name
    except (OSError, ValueError, LookupError, TypeError):
        return "", directory.name


def write_aliases(
    file: str, name: str, production: str | None, previous: str | None, *, changed: bool
) -> dict[str, Any]:
    """Write which version is in production now, and which was before; return the summary."""
    now = {"name": name, "production": production, "previous": previous}
    write_json(OUT / file, now)
    print(f"{name}: production is {spoken(production)}, previous is {spoken(previous)}")
    return {**now, "changed": changed}


# --- MLflow --------------------------------------------------------------------------------------


def address() -> str:
    """Return where MLflow is, as the user has set it. Raises StageError (64)."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not re.match(r"https?://[^/]", uri):
        given = f"is {uri!r}" if uri else "is not set"
        raise StageError(
            f"MLFLOW_TRACKING_URI {given}: set it to where MLflow is, such as http://mlflow:5000",
            WRONG_USAGE,
        )
    return without_password(uri)


def without_password(text: str) -> str:
    """Return a text whose addresses hold no user and no password."""
    return re.sub(r"//[^/@\s]*@", "//", text)


@contextmanager
def mlflow_client(name: str) -> Iterator[tuple[Any, Any]]:
    """Give MLflow's client, and the registered model or None; errors become StageErrors."""
    for setting, value in SETTINGS.items():
        os.environ.setdefault(setting, value)
    ours = FIRST.keys() - os.environ.keys()
    os.environ.update({setting: FIRST[setting] for setting in ours})
    # Not at the top: it takes half a second, which --help and bad inputs need not wait for.
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from mlflow.tracking import MlflowClient  # noqa: PLC0415
    from requests import HTTPError, RequestException  # noqa: PLC0415

    try:
        client = MlflowClient()
        model = None
        try:
            model = client.get_registered_model(name)
        except MlflowException as error:
            if not str(error).startswith("RESOURCE_DOES_NOT_EXIST"):
                raise
        os.environ.update({setting: THEN[setting] for setting in ours})
        yield client, model
    except MlflowException as error:
        raise failure(error.get_http_status_code(), str(error)) from error
    except HTTPError as error:  # of files
        status = error.response.status_code if error.response is not None else 500
        raise failure(status, str(error)) from error
    except RequestException as error:
        raise failure(500, str(error)) from error


@contextmanager
def unless_there() -> Iterator[None]:
    """Make something in MLflow, unless another one did so at the same time."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see mlflow_client

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def failure(status: int, message: str) -> StageError:
    """Return what an answer of MLflow, or none, means to the user."""
    message = without_password(message)
    if status in (401, 403):
        return StageError(
            f"MLflow at {address()} refuses us with {status}: check MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, and that the server's allowed hosts hold the one in "
            "MLFLOW_TRACKING_URI",
            WRONG_USAGE,
        )
    if "CERTIFICATE_VERIFY_FAILED" in message:
        return StageError(
            f"The certificate of {address()} is not trusted: set MLFLOW_TRACKING_SERVER_CERT_PATH "
            "to a file with the one that signed it",
            WRONG_USAGE,
        )
    if "failed with error code 404" in message or "Invalid url" in message:
        return StageError(f"No MLflow is at {address()}: check MLFLOW_TRACKING_URI", WRONG_USAGE)
    if status >= 500 or status in (408, 429):
        reasons = r"Connection refused|[Tt]imed out|resolve|unreachable|too many \d+ error|SSL"
        found = re.search(reasons, message)
        return UnreachableError(f"does not answer ({found[0] if found else message[:200]})")
    return StageError(f"MLflow at {address()} refuses it: {message[:300]}")


def aliases(model: Any) -> tuple[str | None, str | None]:
    """Return the versions that are production and previous."""
    found = model.aliases if model else {}
    return found.get(PRODUCTION), found.get(PREVIOUS)


def set_alias(client: Any, name: str, alias: str, version: str) -> str:
    """Give an alias to a version, and return that."""
    client.set_registered_model_alias(name, alias, version)
    return version


def require_same(client: Any, chosen: Mapping[str, Any]) -> None:
    """Raise StageError (66) unless the version is in MLflow, made by the same run."""
    name, version = chosen["name"], chosen["version"]
    found = client.search_model_versions(f"name = '{name}' and run_id = '{chosen['run_id']}'")
    if version not in [str(other.version) for other in found]:
        raise StageError(
            f"Version {version} of {name} is not, or no longer, the one in MLflow that "
            f"version/{VERSION} means: clear the task track and what follows",
            INPUT_MISSING,
        )


def register(client: Any, record: Record) -> tuple[Any, bool]:
    """Return the version of a record, and whether it is new.

    A version is made when all its files are there, and never changed. So what an earlier try left
    is a version, of which at most the run has to be ended, or a run to go on with.
    """
    if found := versions(client, record):
        if client.get_run(found[0].run_id).info.status != "FINISHED":
            client.set_terminated(found[0].run_id)
        return found[0], False
    run = run_of(client, record)
    log_values(client, run, record)
    upload(run, dict(record.artifacts()))
    version = client.create_model_version(
        record.name,
        f"{run.info.artifact_uri}/model",
        run_id=run.info.run_id,
        tags={
            KEY: record.key,
            "date": record.date,
            "experiment_id": run.info.experiment_id,
            RAW: hashlib.sha256(record.raw_list.encode()).hexdigest(),
            **{f"{SHA256}{file}": sha256(path) for file, path in record.files.items()},
        },
    )
    first = versions(client, record)[0]
    if first.version != version.version:  # another one did the same at the same time
        client.delete_model_version(record.name, version.version)
        if first.run_id != version.run_id:
            client.delete_run(version.run_id)
        return first, False
    client.set_terminated(run.info.run_id)
    return version, True


def versions(client: Any, record: Record) -> list[Any]:
    """Return the versions with the record's key, the oldest first."""
    query = f"name = '{record.name}' and tags.`{KEY}` = '{record.key}'"
    return sorted(client.search_model_versions(query), key=lambda found: int(found.version))


def run_of(client: Any, record: Record) -> Any:
    """Return the record's run: the one that an earlier try began, or a new one."""
    experiment = client.get_experiment_by_name(record.name)
    if experiment is None:
        with unless_there():
            client.create_experiment(record.name)
        experiment = client.get_experiment_by_name(record.name)
    if experiment.lifecycle_stage != "active":
        raise StageError(
            f"The experiment {record.name} was deleted in MLflow: restore it, or take another "
            "--name",
            INPUT_MISSING,
        )
    query = f"tags.`{KEY}` = '{record.key}'"
    begun = client.search_runs([experiment.experiment_id], query, order_by=["start_time ASC"])
    if begun:
        return begun[0]
    tags = {KEY: record.key}
    return client.create_run(experiment.experiment_id, run_name=record.date, tags=tags)


def log_values(client: Any, run: Any, record: Record) -> None:
    """Log parameters, metrics and tags; what is there already stays as it is."""
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - see mlflow_client

    started = run.info.start_time
    values: list[tuple[str, Any]] = [
        *(("metrics", Metric(k, float(v), started, 0)) for k, v in record.scalars().items()),
        *(("tags", RunTag(k, v)) for k, v in record.tags().items()),
        # One that is there already cannot be changed.
        *(("params", Param(k, v)) for k, v in record.params().items() if k not in run.data.params),
    ]
    for start in range(0, len(values), AT_ONCE):
        batch: dict[str, list[Any]] = {}
        for kind, value in values[start : start + AT_ONCE]:
            batch.setdefault(kind, []).append(value)
        client.log_batch(run.info.run_id, **batch)


def upload(run: Any, files: Mapping[str, Path | str]) -> None:
    """Upload files, or texts, of a run, and see that all are there in their full size."""
    repository = repository_of(run.info.artifact_uri)
    with tempfile.TemporaryDirectory() as scratch:
        for target, source in files.items():
            path = source
            if not isinstance(path, Path) or path.name != target.rpartition("/")[2]:
                path = Path(scratch, target.rpartition("/")[2])
                path.write_bytes(
                    source.encode() if isinstance(source, str) else source.read_bytes()
                )
            repository.log_artifact(str(path), target.rpartition("/")[0])
    there = {
        found.path: found.file_size
        for folder in {target.rpartition("/")[0] for target in files}
        for found in repository.list_artifacts(folder)
    }
    for target, source in files.items():
        size = len(source.encode()) if isinstance(source, str) else source.stat().st_size
        if there.get(target) != size:
            raise UnreachableError(f"did not keep {target} as it was sent")


def repository_of(uri: str) -> Any:
    """Return what reads and writes the files below a URI of MLflow."""
    from mlflow.store.artifact import artifact_repository_registry  # noqa: PLC0415 - likewise

    return artifact_repository_registry.get_artifact_repository(uri)


def describe(version: Any) -> dict[str, Any]:
    """Return version.json of a version in MLflow, the same whoever asks."""
    tags = dict(version.tags)
    files = {tag.removeprefix(SHA256): tags[tag] for tag in sorted(tags) if tag.startswith(SHA256)}
    if not files or not {RAW, "date", "experiment_id"} <= tags.keys():
        raise StageError(
            f"Version {version.version} of {version.name} was not recorded by track, so nobody "
            "knows what its files must be: promote one that was"
        )
    for file in files:
        if file.startswith("/") or ".." in file.split("/"):
            raise StageError(f"Version {version.version} of {version.name} has a file {file!r}")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "raw.json")
        download_file(version, f"../{RAW}", path, tags[RAW])
        raw = json.loads(path.read_bytes())["raw"]
    return {
        "name": version.name,
        "version": str(version.version),
        "run_id": version.run_id,
        "experiment_id": tags["experiment_id"],
        "date": tags["date"],
        "files": files,
        "raw": raw,
    }


def download(version: Any, files: Mapping[str, str]) -> None:
    """Download a version's files to /out, all or none."""
    scratch = OUT / ".fetched"
    for file, digest in files.items():
        (scratch / file).parent.mkdir(parents=True, exist_ok=True)
        download_file(version, file, scratch / file, digest)
    for file in files:
        (OUT / file).parent.mkdir(parents=True, exist_ok=True)
        (scratch / file).rename(OUT / file)
    shutil.rmtree(scratch)


def download_file(version: Any, file: str, path: Path, digest: str) -> None:
    """Download one file of a version. Raises StageError (65) unless it has the digest."""
    base = version.source
    if file.startswith("../"):
        base, file = base.rpartition("/")[0], file.removeprefix("../")
    from requests import HTTPError  # noqa: PLC0415 - see mlflow_client

    try:
        # The public way hides a full disk in a text, and asks for a list of the files first.
        repository_of(base)._download_file(file, str(path))
    except HTTPError as error:
        if error.response.status_code != 404:
            raise
        raise StageError(
            f"{file} of version {version.version} is gone from MLflow: promote another version"
        ) from error
    if sha256(path) != digest:
        raise StageError(
            f"{file} of version {version.version} in MLflow is not as its tags say: it was changed "
            "after it was recorded; promote another version"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
