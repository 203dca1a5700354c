"""Draw the report's plots as SVG that takes its colours from the page, in the dark as in the light.

matplotlib knows no CSS variables: it draws in stand-in colours, which are replaced in what it
wrote. Text stays text, in the page's font; names of the user are never read as formulas.
"""

import io
import re
import warnings
from collections.abc import Sequence
from datetime import date
from typing import Any

import matplotlib as mpl
import numpy as np
from drift import Feature
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

INK, MUTED, GRID, NOW, THEN, BAD, PAPER = (f"#{i:02x}{i:02x}0{i}" for i in range(1, 8))
VARIABLES = dict(
    zip(
        (INK, MUTED, GRID, NOW, THEN, BAD, PAPER),
        ("ink", "muted", "line", "now", "then", "bad", "paper"),
        strict=True,
    )
)
LINES, NOTE, GAP = 2, 10, 8  # of models' names: lines, points from one to the next, space between
SERIES = [NOW, THEN, BAD, MUTED]  # of more than one class

mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "text.parse_math": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.edgecolor": GRID,
        "axes.labelcolor": MUTED,
        "axes.titlecolor": INK,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.titlepad": 8,
        "axes.labelsize": 9,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "axes.formatter.useoffset": False,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "text.color": INK,
        "xtick.color": GRID,
        "ytick.color": GRID,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "ytick.major.size": 0,
        "xtick.major.size": 3,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
    }
)


def as_svg(figure: Figure, name: str, alt: str) -> Markup:
    """Return the figure as an SVG element; `name` makes its ids unlike those of other plots."""
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        # Of letters that the font for measuring lacks; the browser has them.
        warnings.filterwarnings("ignore", "Glyph")
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        settle(figure)
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'( id="|"#|url\(#)', rf"\g<1>{name}-", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    label = Markup(' role="img" aria-label="{}"').format(alt)
    return Markup(text.replace("<svg", f"<svg{label}", 1))  # noqa: S704 - matplotlib escapes


def settle(figure: Figure) -> None:
    """Lay the figure out, and round what came of it.

    The solver's results differ from run to run in their last digits, as it takes its variables in
    the order of their addresses, and matplotlib makes ids of all digits.
    """
    FigureCanvasSVG(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        x, y, width, height = axes.get_position().bounds
        axes.set_position((round(x, 4), round(y, 4), round(width, 4), round(height, 4)))


def over_time(history: Sequence[dict[str, Any]], classes: Sequence[str], min_auc: float) -> Markup:
    """Return the days' AUC with its interval, what was predicted and came true, loss and rows."""
    x = np.array([date.fromisoformat(day["date"]).toordinal() for day in history])
    figure = Figure((7.6, 6.4), layout="constrained")
    heights = [2.2, 1.5, 1, 0.8]
    auc, rate, loss, rows = axes = figure.subplots(4, 1, sharex=True, height_ratios=heights)
    models = [calls(day) for day in history]
    changes = [(x[i], models[i]) for i in range(1, len(models)) if models[i] != models[i - 1]]
    title = f"AUC with its 95 % interval; the dashed line is the threshold of {min_auc:g}"
    auc.set_title(title, pad=8 + NOTE * min(LINES, len(changes)))
    low, high = column(history, "roc_auc_low"), column(history, "roc_auc_high")
    auc.vlines(x, low, high, NOW, linewidth=5, alpha=0.25)
    line(auc, x, column(history, "roc_auc"), NOW, "")
    auc.axhline(min_auc, color=BAD, linewidth=1.2, linestyle=(0, (4, 3)))
    if len(classes) == 2:
        rate.set_title(f"Share of {brief(classes[1], 40)}")
        line(rate, x, column(history, "predicted_rate"), NOW, "predicted")
        line(rate, x, column(history, "observed_rate"), THEN, "came true")
        rate.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, borderaxespad=0)
    else:
        rate.set_title("Share of rows whose class was predicted right")
        line(rate, x, column(history, "accuracy"), NOW, "")
    loss.set_title("Log loss: lower is better")
    line(loss, x, column(history, "log_loss"), NOW, "")
    rows.set_title("Rows")
    rows.bar(x, column(history, "rows"), 0.7, color=THEN, alpha=0.6)
    rows.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    for axis in axes:
        axis.locator_params(axis="y", nbins=4)
        for at, _ in changes:
            axis.axvline(at - 0.5, color=MUTED, linewidth=0.9, linestyle=":")
    step = -(-(x[-1] - x[0] + 1) // 9)
    ticks = range(x[-1], x[0] - 1, -step)
    rows.set_xticks(ticks, [f"{(d := date.fromordinal(t)).day} {d:%b}" for t in ticks])
    rows.set_xlim(x[0] - 0.7, x[-1] + 0.7)
    name_models(figure, auc, changes)
    return as_svg(figure, "history", "AUC, rates, log loss and rows of each day")


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


def brief(text: str, length: int) -> str:
    """Return a text that is not longer than that, and has nothing that cannot be printed."""
    text = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return text if len(text) <= length else f"{text[: length - 1]}…"
