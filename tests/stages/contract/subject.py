"""An image in the place of a stage, as the checks see it: what it reads, and its runs."""

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from contract.formats import FORMATS, SEALED, ill_formed, missing, wrong_kinds
from contract.harms import NO_HARM, TO_EVERY_DAY, Harm
from docker.models.containers import Container
from harness import Engine, Input, Result, fail
from pipeline import TABLE, Case, Pipeline, job_of, reads
from warm import PACKAGES, WarmEngine

from microstage.data_folder import SUMMARY
from microstage.errors import TRY_AGAIN
from microstage.sharing import COMMAND
from microstage.walls import DAYS, DAYS_LABEL

# What a run that fails is tried again without, to tell what it ran into.
LIFTED: dict[str, dict[str, Any]] = {
    "user": {"user": "0:0"},
    "network": {"network_mode": "bridge"},
    "root": {"read_only": False},
    "root, as root": {"read_only": False, "user": "0:0"},
}


THREE_DAYS = ["2013-01-05", "2013-01-06", "2013-01-07"]

# Where nobody listens, and that in any network.
NOWHERE = "http://127.0.0.1:9"


class Subject:
    """Its runs are remembered, and may be started before they are asked for."""

    def __init__(
        self,
        case: Case,
        engine: Engine,
        pipeline: Pipeline,
        pool: ThreadPoolExecutor,
        warm: WarmEngine,
    ) -> None:
        self.case = case
        self.row = TABLE.row(case.stage)
        self.work = self.row.work
        self.command = job_of(case.stage).command
        self.inputs: dict[str, Path] = pipeline.inputs(case.stage)
        # A stage with a service, which is not here, can do all but its work.
        self.expected = TRY_AGAIN if self.row.network else 0
        self.engine = engine
        self.pipeline = pipeline
        self._pool = pool
        self._warm = warm
        self._runs: dict[object, Future[Result]] = {}

    @property
    def attributes(self) -> dict[str, Any]:
        return self.engine.attributes(self.case.image)

    def run(self, **options: Any) -> Result:
        """The stage's own command on its real inputs. `options` are those of Engine.execute."""
        inputs: Mapping[str, Input] = options.pop("inputs", self.inputs)
        return shown(self._execute(inputs, **options))

    def refused(
        self, command: Sequence[str] | None = None, inputs: Mapping[str, Input] | None = None
    ) -> Result:
        """A run that is to be refused for its command or its inputs, before it does anything."""
        given = self.inputs if inputs is None else inputs
        return shown(self._answer(command or self.command, given))

    @cached_property
    def plain(self) -> Result:
        """The run that others are compared with."""
        result = self.run()
        self.ended = time.monotonic()
        return result

    @cached_property
    def several(self) -> Result:
        """A run of THREE_DAYS; of the second, the command has a parameter that is unknown."""
        if (self.attributes["Config"]["Labels"] or {}).get(DAYS_LABEL) != DAYS:
            pytest.skip("its label does not say that it does several days in one run")
        if self.row.network:
            pytest.skip("its row has a network: it is run day by day")
        self.started()
        wrong = [*self.command, "--dance", "1"]
        commands = dict(zip(THREE_DAYS, (self.command, wrong, self.command), strict=True))
        listed = self.engine.new("in") / "days.json"
        listed.write_text(json.dumps({"version": 1, "days": commands}))
        inputs: dict[str, Input] = {"days.json": listed}
        links = self.engine.new("in")  # as the platform has a directory that several days read
        for number, (name, path) in enumerate(self.inputs.items()):
            inputs[f".sources/{number}"] = path
            (links / name).parent.mkdir(exist_ok=True)
            (links / name).symlink_to(f"/in/.sources/{number}")
        inputs |= dict.fromkeys(THREE_DAYS, links)
        return self.run(inputs=inputs, command=[COMMAND], folders=THREE_DAYS)

    @cached_property
    def obstacle(self) -> str:
        """Why the plain run fails: a name of LIFTED, "memory" or "unknown"; "" if it does not."""
        if self.plain.code == self.expected:
            return ""
        if self.plain.out_of_memory:
            return "memory"
        lifted = (name for name, o in LIFTED.items() if self.run(**o).code == self.expected)
        return next(lifted, "unknown")

    def started(self) -> Result:
        """The plain run; the check that asks is left out if that failed, as others tell why."""
        if self.plain.code != self.expected:
            pytest.skip("it does not run: see above")
        return self.plain

    def written(self) -> Result:
        """Likewise, if it has written nothing because its service is not here."""
        if self.row.network:
            pytest.skip("it needs its service, which is not here: left to the image's own tests")
        return self.started()

    def well_formed(self) -> Result:
        """Likewise, if files are missing or cannot be read."""
        out = self.written().out
        declared = (*self.row.files, SUMMARY)
        problems = [*missing(out, declared), *wrong_kinds(out), *ill_formed(out)]
        if problems:
            pytest.skip("its files cannot be read: see above")
        return self.plain

    def published(self) -> Result:
        """Likewise, if what it wrote is not as the contract says."""
        out = self.well_formed().out
        check = FORMATS.get(self.work)
        if check and next(check(self.inputs, out), ""):
            pytest.skip("its files are not what the next stage expects: see above")
        return self.plain

    def harmed(self, file: str, harm: Harm | None) -> Result:
        """A run with harm done to an input file; None takes the file away."""
        self.start(file, harm)
        return shown(self._runs[file, harm].result())

    def start(self, file: str, harm: Harm | None) -> None:
        """Begin with a run that will be asked for: first the one without the file."""
        for kind in dict.fromkeys((None, harm)):
            if (file, kind) not in self._runs:
                self._runs[file, kind] = self._pool.submit(self._harmed, file, kind)

    def needs(self, file: str) -> bool:
        """False if it writes the same without the file: then it does not read it."""
        return not self.same(self.harmed(file, None))

    def same(self, result: Result) -> bool:
        plain = self.started()
        return result.code == plain.code and contents(plain.out) == contents(result.out)

    def with_tables(self, change: Harm) -> dict[str, Input]:
        """The inputs with every table changed that the stage does not know by its digest.

        What no row writes is not in the dialect of the contract, and stays.
        """
        declared = reads(self.case.stage)

        def changed(name: str, path: Path) -> bytes:
            sealed = f"{name}/{path.name}" in SEALED.get(self.work, ())
            ours = path.name in declared.get(name.partition("/")[0], ())
            content = path.read_bytes()
            return change(content) if path.suffix == ".csv" and ours and not sealed else content

        return {
            name: {path.name: changed(name, path) for path in files_of(folder)}
            for name, folder in self.inputs.items()
        }

    def newest(self, file: str) -> str:
        """`raw/2013-01-02` for `raw/data.csv`, `split` for `split/train.csv`."""
        return [name for name in self.inputs if is_of(name, file)][-1]

    def _harmed(self, file: str, harm: Harm | None) -> Result:
        optional = None in NO_HARM.get(self.work, {}).get(file, ())
        if (
            harm
            and not optional
            and (without := self._runs[file, None].result()).code == self.expected
        ):
            return without  # it does not read the file, so harm to it says nothing
        inputs: dict[str, Input] = {**self.inputs}
        for name, folder in self.inputs.items():
            every_day = harm is None or harm in TO_EVERY_DAY
            if not is_of(name, file) or not (every_day or name == self.newest(file)):
                continue
            files: dict[str, str | bytes] = {**contents(folder)}
            content = files.pop(file.partition("/")[2])
            if harm:
                assert isinstance(content, bytes)
                files[file.partition("/")[2]] = harm(content)
            inputs[name] = files
        return self._answer(self.command, inputs)

    def _answer(self, command: Sequence[str], inputs: Mapping[str, Input]) -> Result:
        # What is wrong with a word or a file is no matter of the container; of an image that
        # somebody brings, no more is known than that it is one.
        if self.case.image in PACKAGES and not self.row.network:
            return self._warm.execute(self.case.image, command, inputs)
        return self._execute(inputs, command=command)

    def start_run(
        self, inputs: Mapping[str, Input], **options: Any
    ) -> AbstractContextManager[Container]:
        """Start a container of the stage's own command. `options` are those of Engine.start."""
        return self.engine.start(
            self.case.image, self.command, inputs=inputs, **self._with_service(options)
        )

    def _execute(self, inputs: Mapping[str, Input], **options: Any) -> Result:
        options = {"command": self.command, **self._with_service(options)}
        return self.engine.execute(self.case.image, inputs=inputs, **options)

    def _with_service(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options with the row's limits, and the variables that lead to its service."""
        if not self.row.env:
            return {"limits": self.row.limits, **options}
        service = {n: NOWHERE if n.endswith(("_URI", "_URL")) else "nobody" for n in self.row.env}
        environment = {**service, **options.get("environment", {})}
        return {"limits": self.row.limits, **options, "environment": environment}


def shown(result: Result) -> Result:
    print(result.log)
    return result


def is_of(name: str, file: str) -> bool:
    """Is `raw/2013-01-02` where `raw/data.csv` is?"""
    return name.partition("/")[0] == file.partition("/")[0]


def files_of(folder: Path) -> list[Path]:
    """Its own files: not those of a directory in it that another stage published."""
    return [path for path in folder.iterdir() if path.is_file()]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def of_day(result: Result, day: str) -> Result:
    """What became of a day in a run of several; the check fails where that is not said."""
    try:
        said = json.loads((result.out / f"{day}.json").read_bytes())
        code, line = int(said["code"]), str(said["last_line"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        fail(f"no /out/{day}.json with code and last_line: {error}; {result.last_error!r}")
    return Result(code, "", line, result.out / day)


def refuse_if(problems: list[str]) -> None:
    if problems:
        fail("; ".join(problems))


def require_sentence(result: Result, code: int, *words: str) -> None:
    """The run failed with the code, its last line on stderr names all `words`, nothing more."""
    line = result.last_error
    problems = []
    if result.code != code:
        problems.append(f"exit code {result.code} instead of {code}")
    if "Traceback (most recent call last)" in result.stderr or len(line) > 400:
        problems.append("a trace of the program instead of a sentence for its user")
    elif not line:
        problems.append("nothing on stderr")
    else:
        problems += [f"the last line does not name {w!r}" for w in words if w not in line]
    if (result.out / SUMMARY).exists():
        problems.append(f"it wrote {SUMMARY} all the same")
    if problems:
        fail(f"{'; '.join(problems)}. The last line on stderr: {line!r}")
