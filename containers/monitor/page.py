"""Write the report: one HTML file that needs nothing else."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from drift import Feature
from gaps import shares
from jinja2 import Environment, StrictUndefined
from plots import bars, moved, probabilities, reliability
from svg import brief
from timeline import over_time
from verdict import Evidence, Limits, called

TABLE = 40  # features in the table; quality.json has all
MATRIX = 12  # classes, at most, of a confusion matrix that fits the page


def render(quality: dict[str, Any], evidence: Evidence, limits: Limits) -> str:
    """Return report.html; quality: quality.json, which was made of the same evidence."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=printable,
    )  # fmt: skip
    environment.filters.update(
        number=lambda value, digits=3: "–" if value is None else f"{value:.{digits}f}",
        percent=lambda value: "–" if value is None else f"{value:.1%}",
        thousands=lambda value: f"{value:,}",
        long_day=long_day,
    )
    template = environment.from_string(
        Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    )
    features = sorted(evidence.features or [], key=lambda f: (not f.judged, -f.psi, f.name))
    classes, metrics = evidence.today.classes, evidence.today.metrics
    text = template.render(
        q=quality,
        model=evidence.given.spec,
        limits=limits,
        called=called(quality["model"]),
        threshold=threshold(evidence),
        classes=classes,
        metrics=metrics,
        features=features[:TABLE],
        judged=sum(f.judged for f in features),
        gaps=shares,
        rests_on=evidence.given.rests_on,
        hidden=len(features[TABLE:]),
        matrix=metrics and len(classes) <= MATRIX,
        guess=guess(quality["class_shares"]),
        captions={
            "history": best_and_worst(quality["history"]),
            "reliability": too_much(metrics, classes),
        },
        source=evidence.source,
        bars=bars,
        drawn=draw(quality["history"], evidence, features[:4], limits),
    )
    return f"{text}\n"


def draw(
    history: Sequence[dict[str, Any]], evidence: Evidence, most: Sequence[Feature], limits: Limits
) -> dict[str, str]:
    """Return the plots by name as SVG, "" where there is nothing to draw.

    most: the features that moved most.
    """
    today, edges = evidence.today, evidence.given.edges
    above = today.histograms[:, len(edges) // 2 + 1 :].sum(axis=1)
    k = 1 if len(today.classes) == 2 else int(above.argmax())
    return {
        "history": over_time(history, today.classes, limits.min_auc) if len(history) > 1 else "",
        "reliability": reliability(today.metrics["calibration"], today.classes)
        if today.metrics
        else "",
        "probabilities": probabilities(
            edges,
            None if evidence.reference is None else evidence.reference[k],
            today.histograms[k],
            f"Probabilities of {brief(today.classes[k], 20)}",
            evidence.source,
        )
        if today.rows
        else "",
        "moved": moved(most) if most else "",
    }


def threshold(evidence: Evidence) -> float | None:
    """Return from which probability on a row is of the second of two classes, if that is known."""
    told = None if evidence.other else evidence.given.spec.get("threshold")
    return told if isinstance(told, int | float) and len(evidence.today.classes) == 2 else None


def guess(shares: dict[str, dict[str, float | None]]) -> float | None:
    """Return the log loss of who always says the shares that the classes had in training."""
    loss = 0.0
    for share in shares.values():
        if share["training"] is None or share["observed"] is None:
            return None
        if share["observed"]:
            loss -= share["observed"] * float(np.log(max(share["training"], np.finfo(float).eps)))
    return loss


def best_and_worst(history: Sequence[dict[str, Any]]) -> str:
    """Return a sentence on the days with the lowest and the highest AUC, "" if there are no two."""
    days = sorted((d["roc_auc"], d["date"]) for d in history if d["roc_auc"] is not None)
    if len(days) < 2:
        return ""
    (low, worst), (high, best) = days[0], days[-1]
    return (
        f"The AUC was lowest on {short_day(worst)} ({low:.2f}) and highest on {short_day(best)}"
        f" ({high:.2f})."
    )


def too_much(metrics: dict[str, Any] | None, classes: Sequence[str]) -> str:
    """Return a sentence on the mean probability of the second of two classes, else ""."""
    if not metrics or len(classes) != 2:
        return ""
    n, p, q = np.array(metrics["calibration"][1]).T
    said, true, rows = float(n @ p / n.sum()), float(n @ q / n.sum()), float(n.sum())
    # Twice the standard error of a share.
    near = abs(said - true) <= 2 * max(said * (1 - said) / rows, 0) ** 0.5
    verdict = "as near as chance allows" if near else "too much" if said > true else "too little"
    return f"On average the model said {said:.1%}, and {true:.1%} came true: {verdict}."


def short_day(text: str) -> str:
    """Return 2013-01-06 as 6 January."""
    day = date.fromisoformat(text)
    return f"{day.day} {day:%B}"


def printable(value: object) -> object:
    """Return a text of the user without what no page can show, such as control characters."""
    return brief(value, 5000) if type(value) is str else value


def long_day(text: str) -> str:
    """Return 2013-01-06 as Sunday, 6 January 2013."""
    day = date.fromisoformat(text)
    return f"{day:%A}, {day.day} {day:%B %Y}"
