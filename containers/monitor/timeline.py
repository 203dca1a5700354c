"""Draw how a model did day by day."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from svg import BAD, MUTED, NOW, PAPER, THEN, as_svg, brief

History = Sequence[dict[str, Any]]
LINES, NOTE, GAP = 2, 10, 8  # of models' names: lines, points from one to the next, space between


class Panel(NamedTuple):
    """One of the plots that are drawn one below the other."""

    title: str
    height: float
    draw: Callable[[Axes, np.ndarray, History], None]
    """Draws it; it is given the days' ordinals (days,), and the history."""


def over_time(history: History, panels: Sequence[Panel], alt: str) -> Markup:
    """Return the panels, and the rows of each day below them; alt: what it all shows.

    history: that of quality.json, two days of it at least.
    """
    x = np.array([date.fromisoformat(day["date"]).toordinal() for day in history])
    panels = [*panels, Panel("Rows", 0.8, draw_rows)]
    figure = Figure((7.6, 6.4), layout="constrained")
    heights = [panel.height for panel in panels]
    axes = figure.subplots(len(panels), 1, sharex=True, height_ratios=heights)
    models = [calls(day) for day in history]
    changes = [(x[i], models[i]) for i in range(1, len(models)) if models[i] != models[i - 1]]
    for i, (axis, panel) in enumerate(zip(axes, panels, strict=True)):
        axis.set_title(panel.title, pad=8 + (0 if i else NOTE * min(LINES, len(changes))))
        panel.draw(axis, x, history)
        axis.locator_params(axis="y", nbins=4)
        for at, _ in changes:
            axis.axvline(at - 0.5, color=MUTED, linewidth=0.9, linestyle=":")
    name_days(axes[-1], x)
    name_models(figure, axes[0], changes)
    return as_svg(figure, "history", alt)


def draw_rows(axis: Axes, x: np.ndarray, history: History) -> None:
    """Draw how many rows each day had."""
    axis.bar(x, column(history, "rows"), 0.7, color=THEN, alpha=0.6)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def draw_interval(axis: Axes, x: np.ndarray, history: History, name: str) -> None:
    """Draw a metric of each day, and its interval."""
    low, high = column(history, f"{name}_low"), column(history, f"{name}_high")
    axis.vlines(x, low, high, NOW, linewidth=5, alpha=0.25)
    line(axis, x, column(history, name), NOW, "")


def draw_both(axis: Axes, x: np.ndarray, history: History, said: str, true: str) -> None:
    """Draw what was predicted and what came true, by their names in the history."""
    line(axis, x, column(history, said), NOW, "predicted")
    line(axis, x, column(history, true), THEN, "came true")
    axis.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, borderaxespad=0)


def draw_line(name: str) -> Callable[[Axes, np.ndarray, History], None]:
    """Return what draws a number of each day."""
    return lambda axis, x, history: line(axis, x, column(history, name), NOW, "")


def draw_limit(axis: Axes, limit: float) -> None:
    """Draw the threshold of a metric."""
    axis.axhline(limit, color=BAD, linewidth=1.2, linestyle=(0, (4, 3)))


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


def column(history: History, name: str) -> np.ndarray:
    """Return a number of each day, NaN where there is none."""
    return np.array([day[name] for day in history], float)


def line(axis: Axes, x: np.ndarray, y: np.ndarray, colour: str, label: str) -> None:
    """Draw points, and a line between those that are there."""
    there = ~np.isnan(y)
    axis.plot(x[there], y[there], color=colour, marker="o", markeredgecolor=PAPER, label=label)


def short_day(text: str) -> str:
    """Return 2013-01-06 as 6 January."""
    day = date.fromisoformat(text)
    return f"{day.day} {day:%B}"
