"""What the rows of a pipeline have published for a day, for the tasks that decide by it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from microstage.data_folder import MANIFEST, DataFolder, parse_json
from microstage.errors import StageError, one_line
from microstage.jobs import DAY, target_of
from microstage.last_good import load_for_run
from microstage.links import reports
from microstage.pipelines import folder_of


class Published:
    """What the rows of a pipeline have published for a day."""

    def __init__(self, pipeline: str, ds: str, warn: Callable[[str], None]) -> None:
        """Read the pipeline's table. Raises AirflowFailException."""
        try:
            self.data = DataFolder.from_environment(folder_of(pipeline))
            self.pipeline = load_for_run(pipeline, self.data, warn)
        except StageError as error:
            raise AirflowFailException(str(error)) from None
        self.ds = ds

    def read(self, stage: str, file: str) -> dict[str, Any]:
        """Return a JSON file of what a row has published for the day; within `understood`."""
        return read_json(self.data.path(target_of(self.pipeline, stage, self.ds)) / file)

    def newest_report(self, stage: str) -> str:
        """Return the address of the newest report up to the day, or nothing."""
        pattern = self.pipeline.row(stage).to
        name = re.compile(re.escape(pattern).replace(re.escape("{ds}"), f"({DAY})"))
        there = self.data.root.glob(f"{pattern.replace('{ds}', '*')}/{MANIFEST}")
        found = [
            name.fullmatch(str(path.parent.relative_to(self.data.root))) for path in sorted(there)
        ]
        days = [match[1] for match in found if match and match.groups()]
        until = [day for day in days if day <= self.ds]
        folder = f"/{self.pipeline.folder}" if self.pipeline.folder else ""
        return f"{reports()}{folder}/{until[-1]}/report.html" if until else ""


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object. Raises ValueError where it is none."""
    content = parse_json(path.read_bytes())
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is no JSON object")
    return content


@contextmanager
def understood(files: str) -> Iterator[None]:
    """Read files that a stage has published: what is not as the contract has it fails the task.

    Any image may have written them. Raises AirflowFailException.
    """
    try:
        yield
    except StageError as error:
        raise AirflowFailException(str(error)) from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError) as error:
        what = f"{files} is not as docs/contract.md has it ({type(error).__name__}: {error})"
        raise AirflowFailException(
            one_line(f"{what}: run the stage that writes it again.")
        ) from None
