"""migrate.py: brings the tables of Airflow's database to what this image needs, or changes nothing.

Airflow migrates step by step, each in a transaction of its own, so that one that fails leaves
tables that neither version knows. Here that is done to a copy, which takes the database's place
when it is whole. Meanwhile nobody can connect, so that nothing is written to what is replaced.
https://airflow.apache.org/docs/apache-airflow/stable/installation/upgrading.html
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from airflow import __version__, settings
from airflow.utils import db
from sqlalchemy import URL, Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

MIGRATE = ["airflow", "db", "migrate"]


def main() -> int:
    """Migrate; return 0, or 1 where the database is as it was."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    engine: Engine = settings.get_engine()  # type: ignore[no-untyped-call]
    url = engine.url
    cluster = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        clear(cluster, url)
        if not inspect(engine).has_table("alembic_version") or is_current():
            db.upgradedb()  # makes what is not there, of which there is nothing to lose
            return 0
        settings.dispose_orm(do_log=False)
        return migrate_copy(cluster, url)
    except DBAPIError as error:
        print(f"migrate: PostgreSQL refused: {error.orig}".strip(), file=sys.stderr)
        return 1


def is_current() -> bool:
    """Tell whether the tables, those of the users too, are those of this image."""
    try:
        db.check_migrations(timeout=0)  # type: ignore[no-untyped-call]
    except TimeoutError:
        return False
    return True


def migrate_copy(cluster: Engine, url: URL) -> int:
    """Migrate a copy of the database, and put it in its place. Raises DBAPIError."""
    name, new, old = url.database, f"{url.database}_new", f"{url.database}_old"
    with closed(cluster, name):
        print(f"migrate: bringing a copy of the database to Airflow {__version__}", flush=True)
        execute(cluster, f'CREATE DATABASE "{new}" TEMPLATE "{name}"')
        # What a role may do with a database is not copied with it.
        execute(cluster, f'REVOKE CONNECT ON DATABASE "{new}" FROM PUBLIC')
        there = url.set(database=new).render_as_string(hide_password=False)
        setting = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": there}
        done = subprocess.run(MIGRATE, env=os.environ | setting, check=False)  # noqa: S603 - ours
        if done.returncode:
            print(
                f"migrate: the tables could not be brought to Airflow {__version__}, see above. "
                "The database is as it was: the version of before can be started again.",
                file=sys.stderr,
            )
            return done.returncode
        disconnect(cluster, new)
        with cluster.execution_options(isolation_level="READ COMMITTED").begin() as both:
            both.execute(text(f'ALTER DATABASE "{name}" RENAME TO "{old}"'))
            both.execute(text(f'ALTER DATABASE "{new}" RENAME TO "{name}"'))
    return 0


@contextmanager
def closed(cluster: Engine, name: str | None) -> Iterator[None]:
    """Let nobody connect to a database, until another one has its name or this is over."""
    execute(cluster, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    try:
        disconnect(cluster, name)
        yield
    finally:
        clear(cluster, cluster.url.set(database=name))


def clear(cluster: Engine, url: URL) -> None:
    """Remove what a migration needed, and let everybody connect. It may be one that was killed."""
    for ending in ("new", "old"):
        execute(cluster, f'DROP DATABASE IF EXISTS "{url.database}_{ending}" WITH (FORCE)')
    execute(cluster, f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS true')


def disconnect(cluster: Engine, name: str | None) -> None:
    """End all connections to a database."""
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
    execute(cluster, ended, name=name)


def execute(cluster: Engine, statement: str, **values: str | None) -> None:
    """Execute one statement by itself, as those on databases want to be. Raises DBAPIError."""
    with cluster.connect() as connection:
        connection.execute(text(statement), values)


if __name__ == "__main__":
    sys.exit(main())
