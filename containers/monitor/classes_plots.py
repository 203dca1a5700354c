"""Draw the probabilities of a day, and how classes did day by day."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from svg import BAD, MUTED, NOW, PAPER, THEN, as_svg, brief
from timeline import (
    History,
    Panel,
    column,
    draw_both,
    draw_interval,
    draw_limit,
    draw_line,
    line,
    over_time,
)

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


def history_of(history: History, classes: Sequence[str], min_auc: float) -> Markup:
    """Return the days' AUC with its interval, what was predicted and came true, and the loss."""

    def draw_auc(axis: Axes, x: np.ndarray, days: History) -> None:
        draw_interval(axis, x, days, "roc_auc")
        draw_limit(axis, min_auc)

    def draw_rate(axis: Axes, x: np.ndarray, days: History) -> None:
        if len(classes) > 2:
            line(axis, x, column(days, "accuracy"), NOW, "")
        else:
            draw_both(axis, x, days, "predicted_rate", "observed_rate")

    rate = "Share of rows whose class was predicted right"
    if len(classes) == 2:
        rate = f"Share of {brief(classes[1], 40)}"
    auc = f"AUC with its 95 % interval; the dashed line is the threshold of {min_auc:g}"
    loss = Panel("Log loss: lower is better", 1, draw_line("log_loss"))
    panels = [Panel(auc, 2.2, draw_auc), Panel(rate, 1.5, draw_rate), loss]
    return over_time(history, panels, "AUC, rates, log loss and rows of each day")
