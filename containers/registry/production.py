"""Move the aliases that say which version is in production, and which was before."""

from collections.abc import Mapping
from typing import Any

from published import VERSION, spoken
from stageframe import INPUT_MISSING, OUT, StageError, write_json

PRODUCTION, PREVIOUS = "production", "previous"  # aliases of a registered model
BEFORE = "microstage.before"  # its tag: both as they were before the last promotion

Aliases = tuple[str | None, str | None]
"""The versions that are production and previous."""
Approval = Mapping[str, str | None]
"""Who said yes and why, by the names of the version's tags; None where that is not known."""


def promote_version(
    client: Any, model: Any, chosen: Mapping[str, Any], champion: str, approval: Approval
) -> tuple[Aliases, Approval, bool]:
    """Put a version into production; return the aliases, its approval, and whether they moved.

    `champion`: what it was compared with, "" if with nothing. Raises StageError if that is no
    longer in production, or the version is not in MLflow.
    """
    name, version = chosen["name"], chosen["version"]
    production, previous = aliases(model)
    query = f"name = '{name}' and run_id = '{chosen['run_id']}'"
    found = [v for v in client.search_model_versions(query) if str(v.version) == version]
    if not found:
        raise StageError(
            f"Version {version} of {name} is not, or no longer, the one in MLflow that "
            f"version/{VERSION} means: clear the task track and what follows",
            INPUT_MISSING,
        )
    if production == version:
        first = {key: found[0].tags.get(key) or value for key, value in approval.items()}
        return (production, previous), tag(client, found[0], first), False
    if champion and champion != spoken(production):
        raise StageError(
            f"Production is now {spoken(production)}, but this model was compared with "
            f"{champion}: clear the task champion and what follows, and decide again"
        )
    # In this order a try that was cut short is repaired by the next one, which finds production
    # as it was; and there is always a version in production.
    tag(client, found[0], approval)
    if production:
        if previous not in (None, production):
            client.set_registered_model_tag(name, BEFORE, f"{production} {previous}")
        previous = set_alias(client, name, PREVIOUS, production)
    return (set_alias(client, name, PRODUCTION, version), previous), approval, True


def tag(client: Any, version: Any, approval: Approval) -> Approval:
    """Let a version have these tags, and none of an earlier approval; return them."""
    for key, value in approval.items():
        if value and value != version.tags.get(key):
            client.set_model_version_tag(version.name, str(version.version), key, value)
        elif not value and key in version.tags:
            client.delete_model_version_tag(version.name, str(version.version), key)
    return approval


def roll_back(client: Any, model: Any, name: str, out: str) -> tuple[Aliases, bool]:
    """Let both change places if `out` is in; return the aliases, and whether they changed."""
    production, previous = aliases(model)
    if production is None:
        raise StageError(f"No version of {name} is in production", INPUT_MISSING)
    if production == previous == out:  # a promotion was cut short, and never tried again
        was, _, older = model.tags.get(BEFORE, "").partition(" ")
        previous = older if was == out else None
    if production == out and previous is None:
        raise StageError(
            f"Version {out} of {name} is in production and none was there before it: "
            "there is nothing to go back to",
            INPUT_MISSING,
        )
    changed = production == out
    if changed:
        production = set_alias(client, name, PRODUCTION, str(previous))
    # Both are the same only where a try was cut short between the two calls.
    if previous == production:
        previous, changed = set_alias(client, name, PREVIOUS, out), True
    return (production, previous), changed


def aliases(model: Any) -> Aliases:
    """Return the versions that are production and previous of a model that may not be there."""
    found = model.aliases if model else {}
    return found.get(PRODUCTION), found.get(PREVIOUS)


def set_alias(client: Any, name: str, alias: str, version: str) -> str:
    """Give an alias to a version, and return that."""
    client.set_registered_model_alias(name, alias, version)
    return version


def write_aliases(
    file: str, name: str, now: Aliases, approval: Approval, *, changed: bool
) -> dict[str, Any]:
    """Write which version is in production now, and which was before; return the summary."""
    production, previous = now
    content = {"name": name, PRODUCTION: production, PREVIOUS: previous, **approval}
    write_json(OUT / file, content)
    print(f"{name}: production is {spoken(production)}, previous is {spoken(previous)}")
    return {**content, "changed": changed}
