"""What can go wrong with a stage: an exit code, and one sentence for the user."""

from __future__ import annotations

USAGE, BAD_DATA, NO_INPUT, TRY_AGAIN = 64, 65, 66, 75  # sysexits.h
MEANING = {
    USAGE: "wrong usage",
    BAD_DATA: "bad data",
    NO_INPUT: "input missing",
    TRY_AGAIN: "try again later",
}


LONGEST = 2000  # letters of a sentence: what it quotes may be a whole file


def one_line(text: str) -> str:
    """Return a text as one line that can be printed anywhere, and not without end."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
    line = " ".join(text.split())
    return line if line.isprintable() else "".join(map(_printable, line))


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else ascii(letter)[1:-1]


class StageError(Exception):
    """One sentence for the user, with the exit code that it stands for."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(one_line(sentence))
        self.code = code

    @property
    def final(self) -> bool:
        """True when another try with the same inputs cannot help."""
        return self.code in (USAGE, BAD_DATA, NO_INPUT)


class NoInputError(StageError):
    """A directory that a stage reads is not there: whoever writes it has to come first."""

    def __init__(self, sentence: str) -> None:
        super().__init__(NO_INPUT, sentence)


class LeftRunningError(StageError):
    """It is not known how it went on: what has begun is left, and another try takes it up."""

    def __init__(self, sentence: str) -> None:
        super().__init__(TRY_AGAIN, sentence)


class OutOfMemoryError(StageError):
    """A stage needed more memory than its limit."""

    def __init__(self, sentence: str) -> None:
        super().__init__(TRY_AGAIN, sentence)


class StageExitError(StageError):
    """What the stage itself said when it ended, as against what kept it from being run."""
