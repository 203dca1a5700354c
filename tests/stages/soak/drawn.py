"""A case of the soak: the inputs and the command of a stage with something wrong, by a seed."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from soak.harm_bytes import ANY, BINARY, Harm, junk
from soak.harm_tables import DOCUMENT, SETTINGS, TABLE

LARGEST = 4 * 2**20  # bytes of a file after harm: what is only long is no news
Files = Mapping[str, bytes]  # path under /in -> content


@dataclass
class Case:
    """What is wrong, and with what: the other files are as they were."""

    command: list[str]
    harms: list[str]
    """In words."""
    files: dict[str, bytes] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    odd: dict[str, str] = field(default_factory=dict)
    """Files in whose place is something else: a directory, a link."""

    def put(self, folder: Path, whole: Files, kept: Path) -> None:
        """Be the inputs of a run in a folder; `kept` has the whole files, for links."""
        for name in whole:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name in self.files:
                path.write_bytes(self.files[name])
            elif name in self.odd:
                make_odd(path, self.odd[name])
            elif name not in self.gone:
                os.link(kept / name, path)


ODD = {
    "a directory": None,
    "a link to itself": "data.csv",
    "a link to nowhere": "/nowhere",
    "a link to what is not its own": "/etc/passwd",
    "a link to its environment": "/proc/self/environ",
    "a link that never ends": "/dev/zero",
}


def make_odd(path: Path, kind: str) -> None:
    if target := ODD[kind]:
        path.symlink_to(path.name if kind == "a link to itself" else target)
    else:
        path.mkdir()


def draw_case(seed: str, command: Sequence[str], flags: Sequence[str], whole: Files) -> Case:
    """Return the case that a seed means. flags: `--seed`, …, which the command may have."""
    draw = Random(seed)  # noqa: S311 - no secret
    case = Case([*command], [])
    names = sorted(whole)
    files = draw.choice([1, 1, 1, 1, 2]) if names else 0
    if not names or (flags and draw.random() < 0.05):
        harm_command(case, flags, draw)
    for name in draw.sample(names, min(files, len(names))):
        kind = draw.random()
        if kind < 0.01:
            case.gone.add(name)
            case.harms.append(f"{name} is gone")
        elif kind < 0.02:
            case.odd[name] = draw.choice([*ODD])
            case.harms.append(f"{name} is {case.odd[name]}")
        else:
            harm_file(case, name, whole[name], draw)
    if case.files and draw.random() < 0.7:
        seal(case, whole)
    return case


def harm_file(case: Case, name: str, content: bytes, draw: Random) -> None:
    told = []
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        harm = draw.choice(harms_of(name, content, draw))
        changed = harm(content, draw)
        told.append(harm.__name__)
        if len(changed) <= LARGEST:
            content = changed
    case.files[name] = content
    case.harms.append(f"{name}: {', '.join(told)}")


def harms_of(name: str, content: bytes, draw: Random) -> list[Harm]:
    """Return what may be done to a file: half of the time what keeps its syntax."""
    head = content[:512]
    fits: list[Harm] = ANY
    if name.endswith(".csv"):
        fits = TABLE
    elif head.startswith((b"{", b"[")):
        fits = DOCUMENT
    elif b"version=" in head:
        fits = SETTINGS
    elif b"\0" in head:
        return BINARY
    return fits if draw.random() < 0.6 else ANY


def harm_command(case: Case, flags: Sequence[str], draw: Random) -> None:
    """Give a parameter another value, a second time if it has one; or a word too many."""
    value = junk(draw)
    if draw.random() < 0.1 or not flags:
        case.command.append(value)
    elif draw.random() < 0.5 and len(case.command) > 2:
        case.command[draw.randrange(2, len(case.command))] = value
    else:
        case.command += [draw.choice(flags), value]
    case.harms.append(f"the command has {value[:60]!r}")


def seal(case: Case, whole: Files) -> None:
    """Let the other files name the new digests, so that no stage stops at these."""
    news = {
        hashlib.sha256(whole[name]).hexdigest().encode(): hashlib.sha256(content)
        .hexdigest()
        .encode()
        for name, content in case.files.items()
    }
    for name, content in whole.items():
        if not name.endswith(".json") or name in case.gone or name in case.odd:
            continue
        changed = now = case.files.get(name, content)
        for old, new in news.items():
            changed = changed.replace(old, new)
        if changed != now:
            case.files[name] = changed
            if name.endswith("manifest.json"):
                case.files[name] = resized(name, changed, case)


def resized(name: str, manifest: bytes, case: Case) -> bytes:
    """Return a manifest with the new sizes of the files beside it."""
    try:
        content = json.loads(manifest)
        for file, entry in content["outputs"].items():
            if (beside := name.replace("manifest.json", file)) in case.files:
                entry["size"] = len(case.files[beside])
        return json.dumps(content).encode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return manifest
