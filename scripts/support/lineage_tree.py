"""A lineage for a person: a tree, in which days that are alike share a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from support.lineage import DAY, Lineage, Node


def tree(
    lineage: Lineage, directories: Sequence[str], shown: set[str], indent: str = ""
) -> Iterator[str]:
    """Yield the tree under these directories line by line; adds to `shown` what it printed."""
    groups: dict[tuple[str, ...], list[Node]] = {}
    for directory in dict.fromkeys(directories):
        node = lineage.nodes[directory]
        groups.setdefault(node.kind, []).append(node)
    rest = list(groups.values())
    while rest:
        group = rest.pop(0)
        # One of them may have been shown on the way here, under another.
        again = [n for n in group if n.directory in shown and (n.sources or n.problems)]
        if again and len(again) < len(group):
            rest.insert(0, again)
            group, again = [node for node in group if node not in again], []
        branch, below = ("├─ ", "│  ") if rest else ("└─ ", "   ")
        if not shown:
            branch = below = ""
        shown.update(node.directory for node in group)
        if again:
            yield f"{indent}{branch}{name_of(group)}  (above)"
            continue
        first = group[0]
        said = first.maker if len(group) > 1 else first.maker + first.made
        yield f"{indent}{branch}{name_of(group)}  {said}"
        for problem in first.problems:
            yield f"!!! {problem}"
        for note in first.notes:
            yield f"{indent}{below}{note}"
        sources = [source for node in group for source in node.sources]
        yield from tree(lineage, sources, shown, indent + below)


def count(number: int, one: str, many: str) -> str:
    """Return so many of something, in words."""
    return f"{number} {one if number == 1 else many}"


def name_of(group: list[Node]) -> str:
    """Return the name of one directory, or the first and last of several days."""
    days = sorted(node.directory for node in group)
    prefix, _, day = days[-1].rpartition("/")
    last = day if DAY.fullmatch(day) and days[0].startswith(f"{prefix}/") else days[-1]
    return days[0] if len(days) == 1 else f"{days[0]} … {last} ({len(days)} days)"
