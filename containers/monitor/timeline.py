"""Draw how a model did day by day."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from svg import BAD, MUTED, NOW, PAPER, THEN, as_svg, brief

LINES, NOTE, GAP = 2, 10, 8  # of models' names: lines, points from one to the next, space between


def over_time(history: Sequence[dict[str, Any]], classes: Sequence[str], min_auc: float) -> Markup:
    """Return the days' AUC with its interval, what was predicted and came true, loss and rows.

    history: that of quality.json, two days of it at least.
    """
    x = np.array([date.fromisoformat(day["date"]).toordinal() for day in history])
    figure = Figure((7.6, 6.4), layout="constrained")
    heights = [2.2, 1.5, 1, 0.8]
    auc, rate, loss, rows = axes = figure.subplots(4, 1, sharex=True, height_ratios=heights)
    models = [calls(day) for day in history]
    changes = [(x[i], models[i]) for i in range(1, len(models)) if models[i] != models[i - 1]]
    title = f"AUC with its 95 % interval; the dashed line is the threshold of {min_auc:g}"
    auc.set_title(title, pad=8 + NOTE * min(LINES, len(changes)))
    draw_auc(auc, x, history, min_auc)
    draw_rate(rate, x, history, classes)
    loss.set_title("Log loss: lower is better")
    line(loss, x, column(history, "log_loss"), NOW, "")
    rows.set_title("Rows")
    rows.bar(x, column(history, "rows"), 0.7, color=THEN, alpha=0.6)
    rows.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    for axis in axes:
        axis.locator_params(axis="y", nbins=4)
        for at, _ in changes:
            axis.axvline(at - 0.5, color=MUTED, linewidth=0.9, linestyle=":")
    name_days(rows, x)
    name_models(figure, auc, changes)
    return as_svg(figure, "history", "AUC, rates, log loss and rows of each day")


def draw_auc(
    axis: Axes, x: np.ndarray, history: Sequence[dict[str, Any]], threshold: float
) -> None:
    """Draw the AUC of each day, its interval and its threshold; x: the days' ordinals (days,)."""
    low, high = column(history, "roc_auc_low"), column(history, "roc_auc_high")
    axis.vlines(x, low, high, NOW, linewidth=5, alpha=0.25)
    line(axis, x, column(history, "roc_auc"), NOW, "")
    axis.axhline(threshold, color=BAD, linewidth=1.2, linestyle=(0, (4, 3)))


def draw_rate(
    axis: Axes, x: np.ndarray, history: Sequence[dict[str, Any]], classes: Sequence[str]
) -> None:
    """Draw what was predicted of the second of two classes and came true; of more, the accuracy."""
    if len(classes) > 2:
        axis.set_title("Share of rows whose class was predicted right")
        line(axis, x, column(history, "accuracy"), NOW, "")
        return
    axis.set_title(f"Share of {brief(classes[1], 40)}")
    line(axis, x, column(history, "predicted_rate"), NOW, "predicted")
    line(axis, x, column(history, "observed_rate"), THEN, "came true")
    axis.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, borderaxespad=0)


def name_days(axis: Axes, x: np.ndarray) -> None:
    """Write some of the days below the axis, among them the last."""
    step = -(-(x[-1] - x[0] + 1) // 9)
    ticks = range(x[-1], x[0] - 1, -step)
    axis.set_xticks(ticks, [f"{(d := date.fromordinal(t)).day} {d:%b}" for t in ticks])
    axis.set_xlim(x[0] - 0.7, x[-1] + 0.7)


def calls(day: dict[str, Any]) -> str:
    """Return what a line of the history calls its model."""
    if day["model_version"]:
        return f"model {day['model_version']}"
    return day["model_path"] or "model not recorded"


def name_models(figure: Figure, axis: Axes, changes: Sequence[tuple[float, str]]) -> None:
    """Write above the axis from where on which model predicted.

    No name is over another: where there is no room in any line, those of older models are left out.
    """
    figure.draw_without_rendering()  # only then it is known how wide a day is
    ends = axis.get_window_extent()
    free = [float("inf")] * LINES  # the left end of what is written in each line already
    for at, name in reversed(changes):
        text = brief(name, 32)
        note = axis.annotate(text, (at - 0.5, 1), (0, 0), xycoords=("data", "axes fraction"),
                             textcoords="offset points", fontsize=8, color=MUTED)  # fmt: skip
        note.set_in_layout(False)
        box = note.get_window_extent()
        left = max(ends.x0, min(box.x0, ends.x1 - box.width))
        lines = [i for i in range(LINES) if left + box.width + GAP <= free[i]]
        if lines:
            free[lines[0]] = left
            note.set_position(((left - box.x0) * 72 / figure.dpi, 3 + NOTE * lines[0]))
        else:
            note.remove()


def column(history: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    """Return a number of each day, NaN where there is none."""
    return np.array([day[name] for day in history], float)


def line(axis: Axes, x: np.ndarray, y: np.ndarray, colour: str, label: str) -> None:
    """Draw points, and a line between those that are there."""
    there = ~np.isnan(y)
    axis.plot(x[there], y[there], color=colour, marker="o", markeredgecolor=PAPER, label=label)
