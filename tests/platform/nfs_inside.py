"""Run in a share of NFS: a day is published again and again, beside those who read it."""

import threading
import time
from collections import Counter
from pathlib import Path

from microstage.contract import Run
from microstage.data_folder import MANIFEST, STAGING, DataFolder
from microstage.errors import NoInputError
from microstage.inputs import read_inputs
from microstage.jobs import Job
from microstage.pipelines import Pipeline
from microstage.publishing import prepare, publish
from microstage.replacing import remove
from microstage.table import Limits, Row

TIMES, READERS = 50, 3
ROW = Row("stage", "image", "verb", {"x": "raw"}, "out", (), {}, Limits(1, 2**30, 64, 60))
JOB = Job(
    Pipeline("default", {"stage": ROW}), ROW, params={}, sources={"x": "raw/day"}, target="out"
)
longest = [0.0]  # that a reader looked, in seconds
FILES = [f"{number}.csv" for number in range(5)]


def publish_version(data: DataFolder, version: int) -> None:
    """Publish a day anew, as a stage does."""
    key = Run("dag", "run", "task", attempt=version).key
    staging = prepare(data, data.place("raw/day"), key)
    for name in FILES:
        (staging / name).write_text(f"{version}")
    (staging / MANIFEST).write_text("{}")
    publish(data, staging, data.place("raw/day"))
    remove(staging)  # as who publishes does


def read(data: DataFolder, seen: Counter[str], over: threading.Event) -> None:
    """Look for the day as a task does that has it for an input."""
    while not over.is_set():
        began = time.monotonic()
        try:
            names = read_inputs(data, JOB)
        except NoInputError:
            seen["missing"] += 1
        except FileNotFoundError:
            seen["gone meanwhile"] += 1
        else:
            seen["whole" if len(names) == len(FILES) else "a part"] += 1
        longest[0] = max(longest[0], time.monotonic() - began)
        time.sleep(0.01)


def main() -> None:
    """Say what was seen, and what is left in the end."""
    data = DataFolder.at(Path.cwd())
    publish_version(data, 0)
    seen: Counter[str] = Counter()
    over = threading.Event()
    readers = [threading.Thread(target=read, args=(data, seen, over)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    for version in range(1, TIMES + 1):
        publish_version(data, version)
    over.set()
    for reader in readers:
        reader.join()
    texts = {(data.root / "raw/day" / name).read_text() for name in FILES}
    left = sorted(path.name for path in (data.root / STAGING).iterdir())
    print("versions", len(list((data.root / "raw/.versions").iterdir())))
    print(f"{longest[0]:.1f} s the longest look")
    print("seen", dict(seen), "last", sorted(texts), "left", left)


if __name__ == "__main__":
    main()
