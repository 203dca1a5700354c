"""Draw the plots of one day: its probabilities, and its features beside those of the training."""

from collections.abc import Sequence

import numpy as np
from drift import Feature
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from svg import BAD, MUTED, NOW, PAPER, THEN, as_svg, brief

SERIES = [NOW, THEN, BAD, MUTED]  # of more than one class


def reliability(tables: dict[int, list[tuple[int, float, float]]], classes: list[str]) -> Markup:
    """Return observed rates over predicted probabilities, and the rows of each point."""
    figure = Figure((3.7, 3.7), layout="constrained")
    axis, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    axis.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    largest = sorted(tables, key=lambda c: -sum(n * q for n, _, q in tables[c]))[: len(SERIES)]
    for colour, c in zip(SERIES, sorted(largest), strict=False):
        n, p, q = np.array(tables[c]).T
        axis.plot(p, q, color=colour, marker="o", markeredgecolor=PAPER, label=classes[c])
        below.bar(np.minimum(p * 10, 9).astype(int) / 10 + 0.05, n, 0.085, color=colour, alpha=0.5)
    axis.set_ylabel("share that came true")
    axis.set_ylim(-0.03, 1.03)
    axis.set_title("Do the probabilities hold?")
    if len(tables) > 1:
        axis.legend(loc="upper left")
    below.set_xlabel("predicted probability")
    below.set_ylabel("rows")
    below.set_xlim(-0.03, 1.03)
    below.locator_params(axis="y", nbins=3)
    return as_svg(figure, "reliability", "Observed rate over predicted probability")


def probabilities(
    edges: Sequence[float], then: np.ndarray | None, now: np.ndarray, title: str, source: str
) -> Markup:
    """Return histograms, counts (bins,), of the probabilities: this day's, and the reference's."""
    figure = Figure((3.7, 3.7), layout="constrained")
    axis = figure.subplots()
    bounds = np.array([0, *edges, 1])
    if then is not None:
        axis.bar(bounds[:-1], then / then.sum(), np.diff(bounds), align="edge", color=THEN,
                 alpha=0.35, label=source)  # fmt: skip
    axis.stairs(now / now.sum(), bounds, color=NOW, linewidth=1.8, label="this day")
    axis.set_title(title)
    axis.set_xlabel("predicted probability")
    axis.set_ylabel("share of rows")
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.22 * axis.get_ylim()[1])  # room for the legend
    axis.legend(loc="upper right")
    return as_svg(figure, "probabilities", "How often each probability was predicted")


def moved(features: Sequence[Feature]) -> Markup:
    """Return the shares of the rows in each bin, then and now, of up to four features."""
    lines = (len(features) + 1) // 2
    room = ConstrainedLayoutEngine(hspace=0.08, wspace=0.05)
    figure = Figure((7.6, 2.5 * lines), layout=room)
    for i, feature in enumerate(features, 1):
        axis = figure.add_subplot(lines, 2, i)
        labels, then, now = bars(feature, 10)
        x = np.arange(len(labels))
        axis.bar(x - 0.2, then, 0.4, color=THEN, alpha=0.6)
        axis.bar(x + 0.2, now, 0.4, color=NOW)
        axis.set_title(f"{brief(feature.name, 34)}: PSI {feature.psi:.2f}")
        axis.set_xticks(x, [brief(label, 14) for label in labels], rotation=40, ha="right",
                        rotation_mode="anchor")  # fmt: skip
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axis.locator_params(axis="y", nbins=4)
    return as_svg(figure, "moved", "Shares of rows in training and on this day")


def bars(feature: Feature, limit: int) -> tuple[list[str], list[float], list[float]]:
    """Return the labels and both shares of the bins that anything is in; the largest `limit`."""
    found = [
        (label, p, q)
        for label, p, q in zip(feature.labels, feature.reference, feature.current, strict=True)
        if p or q
    ]
    if feature.kind != "numeric":
        largest = sorted(found, key=lambda part: -max(part[1:]))[:limit]
        found = [part for part in found if part in largest]
    labels, then, now = zip(*found, strict=True)
    return list(labels), list(then), list(now)
