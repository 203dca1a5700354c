"""Harm to a table of stages, or to the file of a pipeline, drawn by a seed."""

import copy
import json
from random import Random
from typing import Any

from soak.harm_bytes import ANY, NUMBERS, TEXTS, encoded

# What looks like a path, a placeholder or a time, and is none.
ODD = [
    "{ds}", "{day}", "{model}", "{nobody}", "{", "../x", "/x", "a/../b", ".staging/x", "a//b", ".",
    "raw/{ds}/", "raw/{ds} x", "C:\\x", "~", "a\nb", "* * * * *", "60 * * * *", "0 0 30 2 *", "@x",
]  # fmt: skip


def harmed(table: dict[str, Any], draw: Random) -> tuple[bytes, str]:
    """Return TOML of a table with something wrong in it, and what."""
    content = copy.deepcopy(table)
    told = [change(content, draw) for _ in range(draw.choice([1, 1, 2, 3]))]
    text = encoded("\n".join(f"{json.dumps(key)} = {toml(v)}" for key, v in content.items()))
    if draw.random() < 0.2:
        harm = draw.choice(ANY)
        text = harm(text, draw)
        told.append(harm.__name__)
    return text, "; ".join(told)


def change(content: dict[str, Any], draw: Random) -> str:
    """Change one place, found from the top; rows more often than the rest. Return which."""
    if not content:
        return ""
    holder: Any = content
    key: Any = "stages" if "stages" in content and draw.random() < 0.8 else draw.choice([*content])
    path = [key]
    while isinstance(holder[key], dict | list) and holder[key] and draw.random() < 0.9:
        holder = holder[key]
        key = draw.choice([*holder]) if isinstance(holder, dict) else draw.randrange(len(holder))
        path.append(key)
    kind, value = draw.random(), odd_value(draw)
    if kind < 0.1:
        del holder[key]
    elif kind < 0.25 and isinstance(holder, dict):
        holder[draw.choice(TEXTS)] = holder.pop(key) if kind < 0.2 else value
    else:
        holder[key] = value
    return f"{'.'.join(map(str, path))}: {str(value)[:60]!r}"


def odd_value(draw: Random) -> Any:
    return draw.choice(
        [
            True, False, 0, -1, 1.5, 10**30, 1e308, float("inf"), float("nan"), "", [], {}, [[]],
            [{}], ["a"], {"a": 1}, *(draw.choice(some) for some in (ODD, ODD, ODD, TEXTS, NUMBERS)),
        ]
    )  # fmt: skip


def toml(value: Any) -> str:
    """Return a value as TOML has it, or as near to it as can be."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items())
        return f"{{ {inner} }}"
    return json.dumps(value, ensure_ascii=False).replace("NaN", "nan").replace("Infinity", "inf")
