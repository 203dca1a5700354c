"""What a file is that should be a table of the contract, and is not: by its first bytes."""

import json
import re

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
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars", "^": "carets", "~": "tildes"}
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


def separator(header: str, row: str) -> str:
    """Return what a table is separated by instead of commas, such as "semicolons"; "" if by commas.

    header: its first line; row: the next one, "" if there is none. Both have the separator as often
    as each other, and commas no more often: those are of numbers.
    """
    if told := re.match(r"sep=(.)\s*$", header):  # as Excel has it
        return _SEPARATORS.get(told[1], "")
    header, row = (re.sub(r'"[^"]*"', "", line) for line in (header, row))
    counts = {mark: header.count(mark) for mark in _SEPARATORS}
    mark = max(counts, key=lambda mark: counts[mark])
    if not counts[mark] or counts[mark] < header.count(","):
        return ""
    if row.count(mark) - counts[mark] not in (0, 1):  # there may be one at the end of a row
        return ""
    return _SEPARATORS[mark]
