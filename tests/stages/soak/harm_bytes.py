"""Harm to a file of any kind, drawn by a seed: bytes, lines, encodings, and the numbers in it."""

import gzip
import re
from collections.abc import Callable
from random import Random

Harm = Callable[[bytes, Random], bytes]

# What no author of a stage thought of as a number, a name, a path or a text.
NUMBERS = [
    "0", "-0", "-1", "1", "2", "1.5", "-1e300", "1e300", "1e999", "-1e999", "1e-320", "nan", "-nan",
    "NaN", "inf", "-inf", "Infinity", "255", "256", "65536", "2147483647", "2147483648",
    "-2147483649", "4294967296", "1000000000", "9007199254740993", "9223372036854775807",
    "9223372036854775808", "18446744073709551616", "1" + "0" * 25, "9" * 400, "9" * 5000, "0x10",
    "1_000", "1,5", "1.234,5", "12%", "$5", "٣", "1 ", " 1", "+1", "--1", "1e", "e1", "0.1.2",
]  # fmt: skip
TEXTS = [
    "", " ", "  \t", "null", "true", "None", "[]", "{}", "\0", "a\0b", "\ufeff", "\r", "\n", "\r\n",
    "\x0b", "\x1b[31m", '"', '""', "'", ",", ",,", ";", "\t", "|", "\\", "\\n", "#", "=1+1", "%s%n",
    "{ds}", "{0}", "${HOME}", "$(id)", "`id`", "<script>alert(1)</script>", "é", "e\u0301",
    "\u202eabc", "\u2028", "ﬀ", "İ", "😀", "\ud800", "..", "../../etc/passwd", "/etc/passwd",
    "/dev/zero", "/proc/self/environ", "file:///etc/passwd", "http://127.0.0.1:9/", "target",
    "Target", "class", "a" * 300, "a" * 70_000, "day", "2013-01-01", "9999-12-31", "0000-00-00",
]  # fmt: skip
EDGES = [
    0,
    1,
    2**7,
    2**8,
    2**15,
    2**16,
    2**31 - 1,
    2**31,
    2**32,
    2**40,
    2**63 - 1,
    2**63,
    2**64 - 1,
]
TOKEN = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def encoded(text: str) -> bytes:
    """Return a text as bytes, half of a surrogate pair as what UTF-8 has no word for."""
    return text.encode("utf-8", "surrogatepass")


def junk(draw: Random) -> str:
    """Return a text that is seldom right."""
    return draw.choice(NUMBERS if draw.random() < 0.5 else TEXTS)


def place(content: bytes, draw: Random) -> int:
    """Return a place in a file, its first and last bytes more often than others."""
    near = draw.randrange(min(len(content), 64) + 1)
    return draw.choice([near, len(content) - near, draw.randrange(len(content) + 1)])


def span(content: bytes, draw: Random) -> tuple[int, int]:
    """Return a piece of a file, a short one more often than a long one."""
    start = place(content, draw)
    return start, min(len(content), start + draw.choice([1, 2, 4, 8, 64, 1024, len(content)]))


def cut(content: bytes, draw: Random) -> bytes:
    return content[: place(content, draw)]


def flip(content: bytes, draw: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 8, 64])):
        if changed:
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def overwrite(content: bytes, draw: Random) -> bytes:
    start, end = span(content, draw)
    return content[:start] + draw.randbytes(min(end - start, 4096)) + content[end:]


def integers(content: bytes, draw: Random) -> bytes:
    """Put a count into a binary file: huge, or negative."""
    size = draw.choice([4, 8])
    start = min(place(content, draw) // 4 * 4, max(0, len(content) - size))
    count: int = draw.choice(EDGES) % (1 << 8 * size)
    return content[:start] + count.to_bytes(size, "little") + content[start + size :]


def insert(content: bytes, draw: Random) -> bytes:
    at = place(content, draw)
    return content[:at] + encoded(junk(draw)) + content[at:]


def delete(content: bytes, draw: Random) -> bytes:
    start, end = span(content, draw)
    return content[:start] + content[end:]


def repeat(content: bytes, draw: Random) -> bytes:
    start, end = span(content, draw)
    times = draw.choice([2, 2, 3, 100])
    return content[:start] + content[start:end][:65536] * times + content[end:]


def number(content: bytes, draw: Random) -> bytes:
    """Put another number in the place of one."""
    if not (found := list(TOKEN.finditer(content[: 2**20]))):
        return insert(content, draw)
    one = draw.choice(found)
    return content[: one.start()] + encoded(draw.choice(NUMBERS)) + content[one.end() :]


def lines(content: bytes, draw: Random) -> bytes:
    rows = content.split(b"\n")
    at, other = draw.randrange(len(rows)), draw.randrange(len(rows))
    match draw.choice(["drop", "double", "swap", "blank", "first", "last", "reverse"]):
        case "drop":
            del rows[at]
        case "double":
            rows.insert(at, rows[at])
        case "swap":
            rows[at], rows[other] = rows[other], rows[at]
        case "blank":
            rows.insert(at, b"")
        case "first":
            rows = rows[:1]
        case "last":
            rows = rows[1:]
        case "reverse":
            rows.reverse()
    return b"\n".join(rows)


def line_ends(content: bytes, draw: Random) -> bytes:
    return content.replace(b"\n", draw.choice([b"\r\n", b"\r", b"\n\n", b"\n\r", b"", b"\x85"]))


def encoding(content: bytes, draw: Random) -> bytes:
    text = content.decode("utf-8", "replace")
    name = draw.choice(["utf-16", "utf-16-le", "utf-32", "utf-7", "cp500", "latin-1", "utf-8-sig"])
    return text.encode(name, "replace")


def whole(content: bytes, draw: Random) -> bytes:
    """Put something altogether different there."""
    return draw.choice(
        [
            b"", b"\n", b"\0" * 4096, b" " * 100_000, b"," * 100_000, b"[" * 100_000, b'"',
            b'{"a":' * 50_000, gzip.compress(content[:4096]), draw.randbytes(2000), b"\xff" * 100,
            b"#!/bin/sh\nid\n", b"PK\x03\x04" + draw.randbytes(100),
            # What pickle would run.
            b"cos\nsystem\n(S'touch /out/owned'\ntR.",
        ]
    )  # fmt: skip


ANY: list[Harm] = [
    cut, cut, flip, flip, overwrite, insert, insert, delete, repeat, number, number, lines, lines,
    line_ends, encoding, whole,
]  # fmt: skip
BINARY: list[Harm] = [cut, flip, flip, overwrite, insert, delete, repeat, integers, integers]
