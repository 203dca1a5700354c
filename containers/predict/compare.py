"""compare: a new model beside the one in production, on rows that neither has learned from."""

from typing import Any

import numpy as np
from candidates import Candidate, load_candidate, load_champion
from learned_rows import (
    Copies,
    Marked,
    find_own_copies,
    require_news,
    tell_copies,
    tell_untaught,
    untaught,
)
from new_rows import Group, check_digests, find_obstacle, find_their_copies, group_rows
from paired import measure_all, score_both
from stageframe import IN, OUT, StageError, write_json
from tasks import task_of
from verdicts import Rows, conclude


def compare(resamples: int, seed: int) -> dict[str, Any]:
    """Write comparison.json: both models on rows that are new to both, and a verdict.

    A champion that cannot be measured on them is a verdict of its own, not an error; then, and if
    there is none, the challenger alone is measured, on all rows that are new to it. Where only the
    challenger has learned from the days of these rows, both are measured, without a verdict.

    Returns the summary.
    """
    challenger, champion = load_candidate(IN / "challenger"), load_champion()
    groups = group_rows(challenger, champion, check_digests(challenger))
    obstacle = find_obstacle(challenger, champion, groups) if champion else ""
    classes, task = challenger.model.classes, task_of(challenger.model)
    rows = score_both(challenger, None if obstacle else champion)
    ours = find_own_copies(Marked(rows.marks[0], rows.y, classes), challenger.model)
    require_news(ours, rows.y)
    theirs = Copies(np.zeros(len(rows.y), bool), {})
    if champion and len(rows.marks) > 1:
        marked = Marked(rows.marks[1], rows.y, classes)
        theirs = find_their_copies(marked, challenger, champion, groups)
    known = known_to_champion(len(rows.y), groups)
    new = ~(ours.rows | theirs.rows | known)
    if len(rows.models) > 1 and len(np.unique(rows.y[new])) < 2:
        one = "class" if classes else "target"
        obstacle = f"The rows that neither model has learned from are all of one {one}"
        if champion and not new.any():
            obstacle = f"Version {champion.version['version']} in production knows: {theirs.told()}"
    if obstacle:
        new = ~ours.rows
    models = rows.models[: 1 if obstacle else None]
    y, outputs = rows.y[new], [one[new] for one in rows.outputs[: len(models)]]
    task.require_evidence(y, challenger.model)
    measured, difference = measure_all(y, outputs, models, resamples, seed)
    gone = {*ours.days, *(() if obstacle else theirs.days)}
    days = [day for g in groups if obstacle or not g.known for day in g.days if day not in gone]
    measured_on = Rows(len(y), days, challenger.whole_days)
    verdict, reason = conclude(measured, difference, challenger, champion, obstacle, measured_on)
    if warning := tell_untaught(untaught(y, classes)):
        verdict, reason = "not_comparable", f"{warning} {reason}"
    comparison = {
        "version": 1,
        "verdict": verdict,
        "reason": f"{reason}{tell_copies(ours, theirs)}",
        "metric": task.metric_of(challenger.model),
        "days": days,
        "rows": len(y),
        "challenger": measured[0],
        "champion": champion and described(champion, measured),
        "difference": difference,
        "proof": {
            "challenger_trained_on": challenger.learned,
            "champion_trained_on": champion.learned if champion else [],
            "left_out": [day for g in groups for day in g.days if g.known or day in gone],
            "copied_rows": {"challenger": ours.number, "champion": theirs.number},
            "copies": {"challenger": ours.kinds, "champion": theirs.kinds},
            "copied_days": theirs.days | ours.days,
        },
    }
    write_json(OUT / "comparison.json", comparison)
    return in_short(comparison)


def known_to_champion(rows: int, groups: list[Group]) -> np.ndarray:
    """Return which rows of val.csv are of days that the champion knows, bool (rows,)."""
    left = sum(group.rows for group in groups)
    if rows != left:
        raise StageError(
            f"split/val.csv has {rows} rows, but challenger/preprocess.json and model.json leave"
            f" {left} that the model has not learned from: train again"
        )
    return np.repeat([group.known for group in groups], [group.rows for group in groups])


def described(champion: Candidate, measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Return which version the champion is, and its metrics; None for each if not measured."""
    version = {key: champion.version[key] for key in ("name", "version")}
    return version | (measured[1] if len(measured) > 1 else dict.fromkeys(measured[0]))


def in_short(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of comparison.json."""
    ours, theirs = comparison["challenger"], comparison["champion"] or {}
    difference, metric = comparison["difference"] or {}, comparison["metric"]
    also = "log_loss" if "log_loss" in ours else "skill"
    return {
        "verdict": comparison["verdict"],
        "reason": comparison["reason"],
        "rows": comparison["rows"],
        "days": len(comparison["days"]),
        f"challenger_{metric}": ours[metric],
        f"champion_{metric}": theirs.get(metric),
        f"challenger_{also}": ours[also],
        f"champion_{also}": theirs.get(also),
        "difference": difference.get(metric),
        "low": difference.get("low"),
        "high": difference.get("high"),
        "champion_version": theirs.get("version"),
    }
