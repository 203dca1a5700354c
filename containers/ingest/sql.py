"""Names and texts as SQL has them."""


def literal(text: str) -> str:
    """Return a text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return the name of a column or table, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
