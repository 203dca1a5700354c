"""A real MLflow server and its database, as compose runs them."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from docker.models.containers import Container
from docker.types import EndpointConfig, Mount
from harness import Engine, reference
from registry.server import ENVIRONMENT, PASSWORD, SECRETS, Mlflow, ready
from warm import WarmEngine


@pytest.fixture(scope="session")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """PostgreSQL and MLflow, with users, on a network of their own."""
    scratch, secrets = tmp_path_factory.mktemp("warm"), tmp_path_factory.mktemp("secrets")
    for secret in SECRETS:
        (secrets / secret).write_text(PASSWORD)
    secrets.chmod(0o755)
    client, session = engine.client, uuid.uuid4().hex[:8]
    name = f"microstage-registry-{session}"
    network = client.networks.create(name)
    started: list[Container] = []

    def start(image: str, alias: str, command: list[str], **options: Any) -> Container:
        engine.attributes(image)
        endpoint = EndpointConfig(client.api.api_version, aliases=[alias])
        container = client.containers.create(
            reference(image),
            command,
            network=name,
            networking_config={name: endpoint},
            read_only=True,
            cap_drop=["ALL"],
            mounts=[Mount("/run/secrets", str(secrets), type="bind", read_only=True)],
            **options,
        )
        started.append(container)
        container.start()
        return container

    try:
        start(
            "microstage/postgres:1.0.0",
            "postgres",
            [],
            environment={
                "POSTGRES_USER": "airflow",
                "POSTGRES_DB": "airflow",
            },
            tmpfs=dict.fromkeys(
                ("/tmp", "/run/postgresql", "/var/lib/postgresql/data"), "mode=1777"
            ),
            shm_size="128m",
        )
        mlflow = start(
            "microstage/mlflow:1.0.0",
            "mlflow",
            [
                "--host=0.0.0.0",
                "--port=5000",
                "--workers=1",
                "--app-name=basic-auth",
                "--serve-artifacts",
                "--allowed-hosts=mlflow:5000,172.*:5000,192.168.*:5000",  # by its address, too
            ],
            environment={
                "PGHOST": "postgres",
                "PGDATABASE": "mlflow",
                "PGUSER": "mlflow",
                # As docs/mlflow.md has it, for webhooks to where the tests run.
                "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
                "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
                "MLFLOW_WEBHOOK_CACHE_TTL": "1",  # seconds until it hears of a new one
            },
            tmpfs=dict.fromkeys(("/tmp", "/artifacts"), "mode=1777"),
            restart_policy={"Name": "always"},  # until the database is there
        )
        with ExitStack() as stack:
            warm = WarmEngine(engine, scratch, stack, network=name, environment=ENVIRONMENT)
            yield ready(engine, warm, name, mlflow)
    finally:
        for container in reversed(started):
            container.remove(force=True, v=True)
        network.remove()


@pytest.fixture
def mlflow(server: Mlflow) -> Mlflow:
    """The server, and a name that no other test has."""
    return Mlflow(server.engine, server.warm, server.network, server.container, server.url)
