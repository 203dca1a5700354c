"""compare: a new model beside the one in production, on rows that neither has learned from."""

import itertools
from typing import Any

import numpy as np
from candidates import Candidate, load_candidate, load_champion
from measures import require_two_classes
from new_rows import Group, check_digests, find_obstacle, group_rows
from paired import measure_all, score
from stageframe import IN, OUT, StageError, write_json
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
    y, scores = score(challenger, None if obstacle else champion)
    new = new_to_both(len(y), groups)
    if len(scores) > 1 and len(np.unique(y[new])) < 2:
        obstacle = "The rows that neither model has learned from are all of one class"
    if obstacle:
        new[:], scores = True, scores[:1]
    y, scores = y[new], [one[new] for one in scores]
    require_two_classes(y, challenger.model.classes)
    measured, difference = measure_all(y, scores, challenger.model.classes, resamples, seed)
    days = [day for group in groups if obstacle or not group.known for day in group.days]
    rows = Rows(len(y), days, challenger.whole_days)
    verdict, reason = conclude(measured, difference, challenger, champion, obstacle, rows)
    comparison = {
        "version": 1,
        "verdict": verdict,
        "reason": reason,
        "metric": "roc_auc",
        "days": days,
        "rows": len(y),
        "challenger": measured[0],
        "champion": champion and described(champion, measured),
        "difference": difference,
        "proof": {
            "challenger_trained_on": challenger.learned,
            "champion_trained_on": champion.learned if champion else [],
            "left_out": list(itertools.chain(*(group.days for group in groups if group.known))),
        },
    }
    write_json(OUT / "comparison.json", comparison)
    return in_short(comparison)


def new_to_both(rows: int, groups: list[Group]) -> np.ndarray:
    """Return which rows of val.csv neither model has learned from, bool (rows,)."""
    left = sum(group.rows for group in groups)
    if rows != left:
        raise StageError(
            f"split/val.csv has {rows} rows, but challenger/preprocess.json and model.json leave"
            f" {left} that the model has not learned from: train again"
        )
    return np.repeat([not group.known for group in groups], [group.rows for group in groups])


def described(champion: Candidate, measured: list[dict[str, float]]) -> dict[str, Any]:
    """Return which version the champion is, and its metrics; None for each if not measured."""
    version = {key: champion.version[key] for key in ("name", "version")}
    return version | (measured[1] if len(measured) > 1 else dict.fromkeys(measured[0]))


def in_short(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of comparison.json."""
    ours, theirs = comparison["challenger"], comparison["champion"] or {}
    difference = comparison["difference"] or {}
    return {
        "verdict": comparison["verdict"],
        "reason": comparison["reason"],
        "rows": comparison["rows"],
        "days": len(comparison["days"]),
        "challenger_roc_auc": ours["roc_auc"],
        "champion_roc_auc": theirs.get("roc_auc"),
        "challenger_log_loss": ours["log_loss"],
        "champion_log_loss": theirs.get("log_loss"),
        "difference": difference.get("roc_auc"),
        "low": difference.get("low"),
        "high": difference.get("high"),
        "champion_version": theirs.get("version"),
    }
