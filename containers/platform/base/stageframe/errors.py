"""What a stage ends with: an exit code, and one sentence on stderr."""

# sysexits.h, as the stage contract has them. The first three are final: a retry cannot help.
WRONG_USAGE, BAD_DATA, INPUT_MISSING, TRY_AGAIN = 64, 65, 66, 75
LONGEST = 500  # letters of a sentence: what it quotes may be a whole file


class StageError(Exception):
    """What the user has to mend, in one sentence, and the exit code that goes with it.

    The sentence says what is wrong, in which file, column and row where that applies, and what to
    do: `raw/2013-01-06/data.csv, row 7: column 'x' holds 'abc', not a finite number: correct it`.
    """

    def __init__(self, sentence: str, code: int = BAD_DATA) -> None:
        super().__init__(sentence)
        self.code = code


def one_line(text: str) -> str:
    """Return a text as one line that can be printed anywhere, and not without end."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
    line = " ".join(text.split())
    return line if line.isprintable() else "".join(map(_printable, line))


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else ascii(letter)[1:-1]
