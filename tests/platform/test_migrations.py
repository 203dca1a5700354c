"""A newer image brings a database's tables to its version, or leaves them as they are."""

from collections.abc import Iterator

import pytest
from stack import Stack, clone_to, wait_until

# All steps of a migration but the last one succeed; that one does what is asked.
LAST_STEP = """
CREATE FUNCTION last_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN NEW; END $$;
CREATE TRIGGER last_step BEFORE UPDATE ON alembic_version
FOR EACH ROW WHEN (NEW.version_num = '{head}') EXECUTE FUNCTION last_step()
"""
FAIL, SLEEP = "RAISE EXCEPTION 'the last step fails'", "PERFORM pg_sleep(600)"
# MLflow's tables as they were one migration before this version.
OLDER_MLFLOW = """
import os
from alembic import command
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine
os.environ["PGPASSWORD"] = open("/run/secrets/MLFLOW_DB_PASSWORD").read().strip()
url = "postgresql+psycopg2://"
Base.metadata.create_all(create_engine(url))
config = _get_alembic_config(url)
script = ScriptDirectory.from_config(config)
command.upgrade(config, script.get_revision(script.get_current_head()).down_revision)
"""
HEADS = "import sys; sys.path.append('/app'); import migrate; print(*migrate.heads())"


class Databases(Stack):
    """PostgreSQL, and what migrates."""

    def sql(self, database: str, statement: str) -> str:
        command = ["docker", "compose", "exec", "-T", "postgres", "psql", "-U", "airflow"]
        done = self.run(*command, "-d", database, "-v", "ON_ERROR_STOP=1", "-Atc", statement)
        return done.stdout.strip()

    def migrate(self) -> str:
        """Run what migrates Airflow's; return what it said."""
        command = ["docker", "compose", "run", "--rm", "-T", "airflow-init"]
        done = self.run(*command, check=False)
        return f"{done.stdout}{done.stderr}\nexit code {done.returncode}"

    def version(self, database: str = "airflow") -> str:
        return self.sql(database, "SELECT version_num FROM alembic_version")

    def names(self) -> set[str]:
        found = self.sql("postgres", "SELECT datname FROM pg_database WHERE datallowconn")
        return set(found.split())

    def last_step(self, database: str, does: str, head: str) -> None:
        self.sql(database, LAST_STEP.format(does=does, head=head))

    def mended(self, database: str) -> None:
        self.sql(database, "DROP FUNCTION last_step CASCADE")


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    root = tmp_path_factory.mktemp("clone")
    clone_to(root)
    databases = Databases(root)
    databases.settle("migrations")
    try:
        databases.run("docker", "compose", "up", "--detach", "--wait", "postgres")
        yield databases
    finally:
        databases.take_down()


@pytest.fixture(scope="module")
def head(databases: Databases) -> str:
    """Airflow's tables are of an old version, with something in them; return which is wanted."""
    assert "exit code 0" in databases.migrate()
    head = databases.version()
    command = ["docker", "compose", "run", "--rm", "-T", "--entrypoint=airflow", "airflow-init"]
    databases.run(*command, "db", "downgrade", "--yes", "--to-version=3.0.0")
    databases.sql("airflow", "INSERT INTO variable(key, val, is_encrypted) VALUES('k', 'v', false)")
    assert head != databases.version()
    return head


def kept(databases: Databases) -> bool:
    return databases.sql("airflow", "SELECT val FROM variable WHERE key = 'k'") == "v"


def test_a_migration_of_airflow_that_fails_halfway_leaves_the_database_as_it_was(
    databases: Databases, head: str
) -> None:
    before = databases.version()
    databases.last_step("airflow", FAIL, head)
    said = databases.migrate()
    after = databases.version()
    databases.mended("airflow")

    assert "the last step fails" in said
    assert "The database is as it was: the version of before can be started again." in said
    assert "exit code 1" in said
    assert before == after
    assert kept(databases)
    assert {"airflow", "mlflow", "postgres", "template1"} == databases.names()


def test_nobody_writes_while_airflow_is_migrated_and_one_that_was_killed_is_begun_again(
    databases: Databases, head: str
) -> None:
    before = databases.version()
    databases.last_step("airflow", SLEEP, head)
    command = ["docker", "compose", "run", "--detach", "airflow-init"]
    container = databases.run(*command).stdout.strip()
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UPDATE alembic_version%'"
    wait_until(lambda: databases.sql("postgres", sleeping) == "1")
    meanwhile = databases.names()
    databases.run("docker", "rm", "--force", container)
    databases.sql("postgres", "ALTER DATABASE airflow ALLOW_CONNECTIONS true")
    unchanged = databases.version()
    databases.mended("airflow")
    databases.sql("postgres", "ALTER DATABASE airflow ALLOW_CONNECTIONS false")
    said = databases.migrate()

    assert "airflow" not in meanwhile
    assert before == unchanged
    assert "exit code 0" in said
    assert head == databases.version()
    assert kept(databases)
    assert {"airflow", "mlflow", "postgres", "template1"} == databases.names()
    allowed = "SELECT has_database_privilege('mlflow', 'airflow', 'CONNECT')"
    assert "f" == databases.sql("postgres", allowed)


def test_mlflows_tables_are_migrated_at_its_start_or_left_as_they_were(
    databases: Databases,
) -> None:
    command = ["docker", "compose", "run", "--rm", "-T", "--no-deps", "--entrypoint=python3"]
    databases.run(*command, "mlflow", "-c", OLDER_MLFLOW)
    databases.sql(
        "mlflow",
        "INSERT INTO experiments(name, artifact_location, lifecycle_stage)"
        " VALUES('of before', 'mlflow-artifacts:/7', 'active')",
    )
    before = databases.version("mlflow")
    head = databases.run(*command, "mlflow", "-c", HEADS).stdout.strip()
    databases.last_step("mlflow", FAIL, head)
    failed = databases.run("docker", "compose", "run", "--rm", "-T", "mlflow", check=False)
    left = databases.version("mlflow")
    databases.mended("mlflow")
    databases.run("docker", "compose", "up", "--detach", "--wait", "mlflow")

    assert 1 == failed.returncode
    assert "They are as they were" in failed.stderr
    assert before == left
    assert head == databases.version("mlflow")
    names = databases.sql("mlflow", "SELECT name FROM experiments")
    assert "of before" in names.splitlines()
