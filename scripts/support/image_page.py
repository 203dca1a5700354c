"""docs/images.md and docs/images.svg: what was measured of the images, in tables and bars."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from support.image_sizes import Image

LIMIT = 1.3  # of size / floor


def size_table(images: Sequence[Image], fat: float) -> str:
    """Return sizes in Markdown."""
    lines = [
        "| image | MB | not shared | floor | MB / floor | the usual way | one fat image |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for i in images:
        others = f"{i.usual:.0f} | {fat:.0f}" if i.usual else "– | –"
        lines.append(
            f"| {i.name} | {i.size:.1f} | {i.unique:.1f} | {i.floor:.1f} | {i.size / i.floor:.2f} "
            f"| {others} |"
        )
    return "\n".join(lines) + "\n"


def time_table(images: Sequence[Image]) -> str:
    """Return seconds in Markdown."""
    lines = [
        "| image | start, s | the usual way | fat | import, s | the usual way | fat |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for i in images:
        cells = [[f"{s:.2f}" for s in times] + 3 * ["–"] for times in (i.start, i.imports)]
        lines.append(f"| {' | '.join([i.name, *cells[0][:3], *cells[1][:3]])} |")
    return "\n".join(lines) + "\n"


def page(tables: str, runs: int) -> str:
    """Return docs/images.md."""
    return f"""# The images, measured

Written by `scripts/image_report`; run it again after a change.

![Sizes of the images](images.svg)

{tables}
- **MB** is 10^6 bytes, uncompressed. *Not shared* is in layers that no other image of the project
  has.
- The **floor** is the size of the files that are opened when all verbs of the image run on two
  small days (`scripts/opened_files`, by strace). No image with these packages could be smaller
  than that, and ours are to be at most {LIMIT} times that.
- **The usual way** is what most would write: a slim Debian with Python and pip, and
  `pip install` of the same locked requirements. **One fat image** has the requirements of all
  stages together ([Dockerfile](../scripts/comparison/Dockerfile)).
- **Start** is `docker run IMAGE --help` from begin to end, the engine's own work included;
  **import** is Python importing the packages that a stage imports. Medians of {runs} runs that
  take turns, on {os.cpu_count()} cores.
"""


def plot(images: Sequence[Image], fat: float, path: Path) -> None:
    """Draw the sizes as bars."""
    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of a backend

    mpl.rcParams.update({"svg.hashsalt": "microstage", "svg.fonttype": "none", "font.size": 9})
    figure, axes = plt.subplots(figsize=(8, 0.62 * len(images) + 0.9), layout="constrained")
    kinds = [
        ("one fat image", "#d9d9d9", [fat if i.usual else 0 for i in images]),
        ("the usual way", "#a6a6a6", [i.usual or 0 for i in images]),
        ("Microstage", "#1f6fb4", [i.size for i in images]),
        ("files really opened", "#0b2e4f", [i.floor for i in images]),
    ]
    for place, (label, colour, sizes) in enumerate(kinds):
        rows = [row + 0.2 * (1.5 - place) for row in range(len(images))]
        bars = axes.barh(rows, sizes, height=0.2, color=colour, label=label)
        axes.bar_label(
            bars, [f"{size:.0f}" if size else "" for size in sizes], padding=2, fontsize=7
        )
    axes.set_yticks(range(len(images)), [i.name for i in images])
    axes.set_xlabel("MB, uncompressed")
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="lower right", frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
