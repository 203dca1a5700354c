"""What a file is that should be a table of the contract, and is not: by its first bytes."""

import json
import re
from collections.abc import Sequence

# Signatures: https://en.wikipedia.org/wiki/List_of_file_signatures
_SIGNATURES = (
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"\xff\xfe\0\0", "UTF-32 text"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (xls)"),
    (b"%PDF", "a PDF"),
)
_SEPARATORS = {
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
    "^": "carets",
    "~": "tildes",
    "\1": "the control character 1",
    "\x1f": "the control character 31",
}
# These are in texts, too: so of one column, and in all lines.
_WEAK = {":": "colons", " ": "spaces"}
_TIME = re.compile(
    r"(\d[\d./-]*[ T])?\d\d?(:\d\d){1,2}(\.\d+)?\s*([AP]M|Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)
LINES = 20  # that a separator is looked for in
_MARKUP = re.compile(r"<(!doctype|html|\?xml|table|head|body|script|svg|rss|!--)", re.IGNORECASE)


def what_it_is(head: bytes) -> str:
    """Return what a file is that begins like this: "a gzip file"; "" if it may be a table."""
    for signature, name in _SIGNATURES:
        # Of a table, letters may be the beginning of a column's name.
        if head.startswith(signature) and (not signature.isalnum() or not _is_plain(head)):
            return name
    if head.startswith(b"PK\3\4"):
        office = b"xl/" in head or b"[Content_T" in head
        return "an Excel workbook (xlsx)" if office else "a zip file"
    if len(head) > 3 and not (any(head[:8:2]) and any(head[1:8:2])):
        return "UTF-16 text"
    text = head.decode("utf-8-sig", "replace").lstrip()
    if _MARKUP.match(text):
        return "HTML or XML"
    return "JSON" if _is_json(text.splitlines()[0] if text else "", text) else ""


def _is_plain(head: bytes) -> bool:
    return not re.search(rb"[\0-\x08\x0e-\x1f\x80-\xff]", head[:64])


def _is_json(line: str, text: str) -> bool:
    if not text.startswith(("{", "[")):
        return False
    if line.strip() in ("{", "[", "[{"):
        return True
    try:
        return isinstance(json.loads(line), dict | list)
    except ValueError:
        return bool(re.match(r'[\[{]\s*[\[{]?\s*"(\\.|[^"\\])*"\s*[:,]', text))


def separator(header: str, rows: Sequence[str]) -> str:
    """Return what a table is separated by instead of commas, such as "semicolons"; "" if by commas.

    header: its first line; rows: the next ones, LINES at most. Header and first row have the
    separator as often as each other, and commas no more often: those are of numbers. Spaces and
    colons are separators only where the header has no comma, and all lines have as many.
    """
    if told := re.match(r"sep=(.)\s*$", header):  # as Excel has it
        return (_SEPARATORS | _WEAK).get(told[1], "")
    header, *rows = (re.sub(r'"[^"]*"', "", line).rstrip("\r\n") for line in (header, *rows))
    counts = {mark: header.count(mark) for mark in _SEPARATORS}
    mark = max(counts, key=lambda mark: counts[mark])
    if not rows or counts[mark] < header.count(","):
        return ""
    # There may be one at the end of a row.
    if counts[mark] and rows[0].count(mark) - counts[mark] in (0, 1):
        return _SEPARATORS[mark]
    return "" if "," in header else _weak_separator(header, rows)


def _weak_separator(header: str, rows: Sequence[str]) -> str:
    rows = [row for row in rows if row.strip()]
    if not rows or all(_TIME.fullmatch(row.strip()) for row in rows):
        return ""
    for mark, name in _WEAK.items():
        # Spaces may be many: they align.
        fields = {len(line.split(None if mark == " " else mark)) for line in (header, *rows)}
        if len(fields) == 1 and max(fields) > 1:
            return name
    return ""
