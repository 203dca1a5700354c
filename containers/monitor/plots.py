"""Draw the features of a day beside those of the training."""

from collections.abc import Sequence

import numpy as np
from drift import Feature
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from svg import NOW, THEN, as_svg, brief


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
