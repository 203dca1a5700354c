"""What DuckDB, libpq and services say, as one sentence for the user and an exit code."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb
from services import SECRETS, s3_endpoint
from stageframe import BAD_DATA, INPUT_MISSING, TRY_AGAIN, WRONG_USAGE, StageError

LONGEST = 240  # characters of another program's words
Known = tuple[tuple[str, int, str], ...]  # what DuckDB says, the code that follows, what to do
# The first that is found counts. What is said of a statement may hold words of its data: in them
# nothing is looked for that a service says.
OF_STATEMENTS: Known = (
    (
        r"does not support the encoding",
        BAD_DATA,
        "save it as UTF-8; encoding = 'utf-16' and 'latin-1' are read, too",
    ),
    (
        r"Missing Extension|automatically install|exists in the \S+ extension",
        BAD_DATA,
        "CSV, Parquet and JSON are read, s3:// and https://, and PostgreSQL if PGHOST is set",
    ),
    (
        r"Table with name \S*/",
        BAD_DATA,
        "its name does not tell what it is, so name a reader: read_csv('…'), read_parquet('…')",
    ),
    (r"Table with name", INPUT_MISSING, "correct its name, or make it"),
)
OF_SERVICES: Known = (
    (
        r"No space left|max_temp_directory_size",
        TRY_AGAIN,
        "the disk of the output is full: free some space",
    ),
    (
        r"Out of Memory",
        TRY_AGAIN,
        "memory ran out: give the row more, or select fewer columns or rows",
    ),
    (r"disabled by configuration", BAD_DATA, "read below /in, or from an address"),
    (
        r"No files found|Cannot open file|[Ff]ile .*does not exist",
        INPUT_MISSING,
        "provide it, or correct the path",
    ),
    (
        r"starting up|shutting down|in recovery|too many (clients|connections)|slots are reserved",
        TRY_AGAIN,
        "try again later",
    ),
    (r'database "\S+" does not exist', INPUT_MISSING, "check PGDATABASE"),
    # Whoever says so has answered.
    (r"FATAL: |no password", WRONG_USAGE, "check PGUSER and PGPASSWORD, or POSTGRES_URL"),
    (r"permission denied for", WRONG_USAGE, "let the user of the database read it"),
    (
        r"certificate|SSL connect|SSL error|does not support SSL",
        WRONG_USAGE,
        "check the address, and SSL_CERT_FILE",
    ),
    # So DuckDB calls an answer such as 401 to what it reads over HTTP; without one there are words.
    (r"HTTP 0 ", WRONG_USAGE, "the server refuses it: check HTTP_BEARER_TOKEN, and the address"),
    (r"Permission denied", INPUT_MISSING, "let the user who runs the stage read it"),
    (
        r"Unable to connect|[Cc]ould not (establish|connect|resolve)|[Tt]imed? ?out|"
        r"Connection (refused|error|reset)|connection (unexpectedly|to server)|"
        r"HTTP (GET|HEAD|POST|PUT)|partial file",
        TRY_AGAIN,
        "see that the service runs and can be reached from here, then try again",
    ),
)
FOUND = {404: INPUT_MISSING, 401: WRONG_USAGE, 403: WRONG_USAGE, 400: WRONG_USAGE, 301: WRONG_USAGE}
ADVICE = {
    INPUT_MISSING: "provide it, or correct the address",
    WRONG_USAGE: "check the credentials, and AWS_REGION and AWS_ENDPOINT_URL where it is S3",
    TRY_AGAIN: "try again later",
}


@contextmanager
def explained(environment: Mapping[str, str], where: str = "") -> Iterator[None]:
    """Let what DuckDB raises end the stage with one sentence, in which no secret is."""
    try:
        yield
    except duckdb.Error as error:
        if "Interrupted system call" in str(error):
            time.sleep(2)  # what a signal has interrupted, it ends: stageframe/signals.py
        code, sentence = explain(error, environment)
        raise StageError(f"{where}: {sentence}" if where else sentence, code) from error


def explain(error: duckdb.Error, environment: Mapping[str, str]) -> tuple[int, str]:
    """Return the exit code and the sentence of an error of DuckDB."""
    said = without_secrets(str(error), environment)
    words = short(said)
    if status := getattr(error, "status_code", 0):
        code = FOUND.get(int(status), TRY_AGAIN if int(status) >= 429 else BAD_DATA)
        return code, f"{words}: {ADVICE.get(code, 'check the address')}"
    of_statement = isinstance(error, duckdb.ProgrammingError | duckdb.DataError)
    for pattern, code, advice in OF_STATEMENTS + (() if of_statement else OF_SERVICES):
        if re.search(pattern, said):
            at = f" (S3 is {s3})" if code == TRY_AGAIN and (s3 := s3_endpoint(environment)) else ""
            return code, f"{words}{at}: {advice}"
    return BAD_DATA, f"{words}: correct the statement, or the data"


def short(said: str) -> str:
    """Return what a message says, as one line: without advice to programmers and its picture."""
    first = re.split(r"\n\s*\n|\nLINE \d+:|\nPossible (?:fix|solut)|\nIt is possible", said)[0]
    words = re.sub(r"^[\w ]*Error: ", "", " ".join(first.split()))
    words = re.sub(r"(?<=Postgres) at \"[^\"]*\"| in region ''| \(HTTP 0 .*?\)", "", words)
    if (file := re.search(r"\n\s*file = (.+)", said)) and file[1] not in words:
        words = f"{file[1].strip()}: {words}"
    return words[:LONGEST].rstrip(".:! ")


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """Return a text in which no password is, and no user of an address."""
    for name in SECRETS:
        if environment.get(name):
            text = text.replace(environment[name], "***")
    return re.sub(r"//[^/@\s]*@", "//", text)
