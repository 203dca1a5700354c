"""Draw the predicted numbers of a day, and how they did day by day."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from svg import MUTED, NOW, PAPER, THEN, as_svg
from timeline import History, Panel, draw_both, draw_interval, draw_limit, draw_line, over_time

SIZE = (3.7, 3.7)


def reliability(table: Sequence[tuple[int, float, float]]) -> Markup:
    """Return what came true over what was predicted: means of bins of as many rows each."""
    figure = Figure(SIZE, layout="constrained")
    axis = figure.subplots()
    _, said, true = np.array(table).T
    ends = [min(said.min(), true.min()), max(said.max(), true.max())]
    axis.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axis.plot(said, true, color=NOW, marker="o", markeredgecolor=PAPER)
    axis.set_title("Do the predictions hold?")
    axis.set_xlabel("predicted, mean of a tenth of the rows")
    axis.set_ylabel("came true, mean")
    axis.locator_params(nbins=5)
    return as_svg(figure, "reliability", "What came true over what was predicted")


def residuals(edges: Sequence[float], counts: Sequence[int]) -> Markup:
    """Return a histogram of what came true less what was predicted."""
    figure = Figure(SIZE, layout="constrained")
    axis = figure.subplots()
    share = np.array(counts) / sum(counts)
    axis.bar(edges[:-1], share, np.diff(edges), align="edge", color=NOW, alpha=0.6)
    axis.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axis.set_title("How far were they off?")
    axis.set_xlabel("came true less predicted")
    axis.set_ylabel("share of rows")
    axis.locator_params(axis="x", nbins=5)
    return as_svg(figure, "residuals", "Histogram of what came true less what was predicted")


def spread(edges: Sequence[float], then: np.ndarray | None, now: np.ndarray, source: str) -> Markup:
    """Return in which bins the predictions were, counts (bins,): this day's, and of reference."""
    figure = Figure(SIZE, layout="constrained")
    axis = figure.subplots()
    x = np.arange(len(now))
    if then is not None:
        axis.bar(x, then / then.sum(), 0.9, color=THEN, alpha=0.35, label=source)
    axis.bar(x, now / now.sum(), 0.45, color=NOW, label="this day")
    axis.set_title("Predictions")
    axis.set_xlabel("prediction")
    axis.set_ylabel("share of rows")
    axis.set_xticks(x[1:] - 0.5, [f"{edge:.4g}" for edge in edges], rotation=40, ha="right",
                    rotation_mode="anchor")  # fmt: skip
    axis.set_ylim(0, 1.22 * axis.get_ylim()[1])  # room for the legend
    axis.legend(loc="upper right")
    return as_svg(figure, "predictions", "How often numbers of each bin were predicted")


def history_of(history: History, min_skill: float) -> Markup:
    """Return the days' RMSE with its interval, what was predicted and came true, and the skill."""

    def draw_rmse(axis: Axes, x: np.ndarray, days: History) -> None:
        draw_interval(axis, x, days, "rmse")

    def draw_means(axis: Axes, x: np.ndarray, days: History) -> None:
        draw_both(axis, x, days, "mean_prediction", "mean_target")

    def draw_skill(axis: Axes, x: np.ndarray, days: History) -> None:
        draw_line("skill")(axis, x, days)
        draw_limit(axis, min_skill)

    skill = f"Skill: share of a constant's loss that is saved; threshold {min_skill:g}"
    panels = [
        Panel("Root mean squared error with its 95 % interval: lower is better", 2.2, draw_rmse),
        Panel("Means of the day", 1.5, draw_means),
        Panel(skill, 1, draw_skill),
    ]
    return over_time(history, panels, "Error, means, skill and rows of each day")
