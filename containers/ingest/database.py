"""DuckDB as a stage needs it: bounded, repeatable, and shut in between /in and the services."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection
from services import ADDRESSES, attach_postgres, connect_http, names_address, names_database
from sql import literal
from stageframe import IN, OUT

SPILL = OUT / ".spill"
# What DuckDB does not count needs the rest of the limit: code, Python, files on their way to disk.
SHARE, REST, LEAST = 0.5, 240 * 2**20, 80 * 2**20
LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # One thread: the same rows in the same order, and the same sums, on any number of cores.
    "threads": 1,
    "preserve_insertion_order": True,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,  # whoever packed them, DuckDB's makers have signed them
    "python_enable_replacements": False,
}


@contextmanager
def open_database(sql: str, environment: Mapping[str, str]) -> Iterator[DuckDBPyConnection]:
    """Give a database in which `sql` can be run; what it spills is gone at the end.

    Extensions are loaded where `sql` names an address, and where the environment names a database.
    """
    # The paths of a statement begin below /in, in a container and outside of it; a row that reads
    # nothing has none.
    os.chdir(IN if IN.is_dir() else OUT)
    try:
        with duckdb.connect(config=CONFIG) as connection:
            settings = {
                "TimeZone": "UTC",
                "secret_directory": str(SPILL / "none"),  # or it would be looked for at home
                "temp_directory": str(SPILL),
                "memory_limit": f"{memory_for(memory_limit())}B",
            }
            for name, value in settings.items():
                connection.execute(f"SET {name} = {literal(value)}")
            if names_address(sql):
                connection.load_extension(extension("httpfs"))
                connect_http(connection, environment)
            if names_database(environment):
                connection.load_extension(extension("postgres_scanner"))
                attach_postgres(connection, environment)
            shut_in(connection)
            yield connection
    finally:
        shutil.rmtree(SPILL, ignore_errors=True)


def shut_in(connection: DuckDBPyConnection) -> None:
    """Let statements read below /in and at addresses, and nothing else; for good."""
    # Outside of a container what is below /in is links to where it really is.
    below = [*IN.glob("*"), *IN.glob("*/*")]
    folders = [IN, OUT, *(path for path in below if path.is_symlink())]
    allowed = [*(f"{folder.resolve()}/" for folder in folders), *ADDRESSES]
    connection.execute(f"SET allowed_directories = [{', '.join(map(literal, allowed))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def memory_for(limit: int) -> int:
    """Return how many bytes DuckDB may count, of those that the container may use."""
    return max(LEAST, min(int(limit * SHARE), limit - REST))


def memory_limit() -> int:
    """Return how many bytes this container, or this machine, may use."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in map(Path, LIMITS):
        text = file.read_text("ascii").strip() if file.is_file() else ""
        limits += [int(text)] if text.isdecimal() else []
    return min(limits)


def extension(name: str) -> str:
    """Return the file of an extension, of the package that brings it."""
    package = metadata.distribution(f"duckdb-extension-{name.replace('_', '-')}")
    file = f"extensions/v{duckdb.__version__}/{name}.duckdb_extension"
    return str(package.locate_file(f"duckdb_extension_{name}/{file}"))
