"""Brings the tables of MLflow's database to this version, as MLflow refuses those of an older one.

It leaves that to people: https://mlflow.org/docs/latest/self-hosting/migration/. All of it is one
transaction, so that tables that cannot be brought there stay as they were.
"""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psycopg2

VERSIONS = "store/db_migrations/versions"
REVISION = re.compile(r"""(?m)^(down_)?revision\s*=\s*["'](\w+)["']""")


def migrate() -> None:
    """Migrate if need be. Raises SystemExit (1)."""
    there = revision()
    if there is None or there in heads():
        return
    print("Bringing the tables to this version of MLflow", flush=True)
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", "postgresql+psycopg2://"]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 - ours
        sys.exit(
            "The tables could not be brought to this version of MLflow, see above. They are as "
            "they were: the version of before can be started again."
        )


def revision() -> str | None:
    """Return which revision the tables are of; None where there are none."""
    with psycopg2.connect("") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('alembic_version')")
        found = cursor.fetchone()
        if found != (None,):
            cursor.execute("SELECT version_num FROM alembic_version")
            found = cursor.fetchone()
    connection.close()
    return str(found[0]) if found and found[0] else None


def heads() -> set[str]:
    """Return the revisions that no other one is after: this version's, which is not imported."""
    spec = find_spec("mlflow")
    [folder] = (spec and spec.submodule_search_locations) or [""]
    found = [
        match
        for path in Path(folder, VERSIONS).glob("*.py")
        for match in REVISION.findall(path.read_text(encoding="utf-8"))
    ]
    return {name for down, name in found if not down} - {name for down, name in found if down}
