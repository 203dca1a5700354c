"""A real S3 server and a real database, and the stage that reads from them."""

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import requests
from docker.errors import APIError
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import EndpointConfig, Mount
from harness import Engine, Input, Result, fail, reference

HERE = Path(__file__).parent
DAY = "2013-01-06"
SALES = (HERE / "pyarrow_26.parquet").read_bytes()
KEY, SECRET, PASSWORD = "reader", "a secret/+", "a password, for a test alone"
SECONDS = 60  # to start a service, on a busy machine
# SeaweedFS, which the tests' environment has as one program without libraries.
WEED = Path(sys.executable).with_name("weed")
IDENTITIES = f"""{{"identities": [{{"name": "reader", "actions": ["Read", "List"],
  "credentials": [{{"accessKey": "{KEY}", "secretKey": "{SECRET}"}}]}}]}}"""
SERVER = [
    *("server", "-s3", "-dir=/tmp", "-ip=127.0.0.1", "-ip.bind=0.0.0.0", "-volume.max=2"),
    *("-master.volumeSizeLimitMB=64", "-s3.config=/configuration/s3.json"),
    *("-s3.port.https=8334", "-s3.cert.file=/configuration/certificate.pem"),
    "-s3.key.file=/configuration/key.pem",
]
TABLES = """
CREATE TABLE sales (id bigint, price numeric(12, 2), sold timestamptz, open boolean, tags text[]);
INSERT INTO sales SELECT i, i * 1.10, timestamptz '2013-01-06 14:35:00+02', i % 2 = 0, '{a}'
  FROM generate_series(1, 3) i;
CREATE TABLE hidden (id bigint);
CREATE ROLE reader LOGIN PASSWORD 'a password, for a test alone';
GRANT CONNECT ON DATABASE shop TO reader;
GRANT SELECT ON sales TO reader;
"""


LAKE = {
    "AWS_ENDPOINT_URL": "http://lake:8333",
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
}
FOLDERS = ("/tmp", "/run/postgresql", "/var/lib/postgresql/data")
SHOP = {"PGHOST": "shop", "PGDATABASE": "shop", "PGUSER": "reader", "PGPASSWORD": PASSWORD}


class Services(NamedTuple):
    """Where they are, and a run of the stage beside them."""

    engine: Engine
    network: str
    certificate: str

    def run(
        self, query: str, environment: dict[str, str], inputs: dict[str, Input] | None = None
    ) -> Result:
        command = ["generate", "--date", DAY, "--query", query, "--target-column", "open"]
        options: dict[str, Any] = {"network_mode": self.network, "environment": environment}
        return self.engine.run("ingest", command, inputs=inputs, **options)


@contextmanager
def started(engine: Engine) -> Iterator[Services]:
    """Both services, on a network of their own that leads nowhere else."""
    name = f"microstage-ingest-{secrets.token_hex(4)}"
    network: Network = engine.client.networks.create(name, internal=True)
    containers: list[Container] = []
    try:
        configuration = configure(engine.new("lake"))
        places = {"/weed": WEED, "/configuration": configuration}
        lake = container(
            engine,
            name,
            "lake",
            "microstage/base:1.0.0",
            places,
            command=SERVER,
            entrypoint="/weed",
        )
        containers.append(lake)
        places = {"/run/secrets": passwords(engine.new("shop"))}
        who = {"POSTGRES_USER": "shop", "POSTGRES_DB": "shop"}
        shop = container(engine, name, "shop", "microstage/postgres:1.0.0", places, environment=who)
        containers.append(shop)
        fill_lake(lake, name)
        fill_shop(shop)
        yield Services(engine, name, (configuration / "certificate.pem").read_text())
    finally:
        for each in containers:
            each.remove(force=True, v=True)
        network.remove()


def configure(folder: Path) -> Path:
    """Who may read, and the certificate of the server, which signs itself."""
    (folder / "s3.json").write_text(IDENTITIES)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=lake", "-addext", "subjectAltName=DNS:lake"]
    command += ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem"]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "key.pem").chmod(0o644)
    return folder


def passwords(folder: Path) -> Path:
    """The files that the database's image wants, in a folder."""
    for name in ("POSTGRES_PASSWORD", "MLFLOW_DB_PASSWORD"):
        (folder / name).write_text(PASSWORD)
    return folder


def container(
    engine: Engine,
    network: str,
    alias: str,
    image: str,
    places: dict[str, Path],
    **options: Any,
) -> Container:
    """A service that runs, known by its alias; it sees files in these places."""
    engine.attributes(image)
    created = engine.client.containers.create(
        reference(image),
        network=network,
        mounts=[Mount(to, str(of), type="bind", read_only=True) for to, of in places.items()],
        networking_config={network: EndpointConfig(engine.client.api.api_version, aliases=[alias])},
        read_only=True,
        cap_drop=["ALL"],
        tmpfs=dict.fromkeys(FOLDERS, "mode=1777"),
        shm_size="128m",
        **options,
    )
    created.start()
    return created


def fill_lake(lake: Container, network: str) -> None:
    """Put an object into the bucket `shop` as soon as there is a server."""
    lake.reload()
    address = lake.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
    ready = f"http://{address}:8333/healthz"
    url = f"http://{address}:8888/buckets/shop/{DAY}/sales.parquet"
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with suppress(requests.RequestException):
            if requests.get(ready, timeout=5).ok:
                requests.post(url, files={"file": SALES}, timeout=5).raise_for_status()
                return
        time.sleep(0.3)
    fail(f"no S3 server after {SECONDS} s:\n{lake.logs(tail=20).decode()}")


def fill_shop(shop: Container) -> None:
    """Make the tables as soon as there is a database."""
    command = ["psql", "--quiet", "--username=shop", "--host=/run/postgresql", "shop"]
    command += ["--set=ON_ERROR_STOP=1", "--single-transaction", "--command", TABLES]
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with suppress(APIError):
            if shop.exec_run(command).exit_code == 0:
                return
        time.sleep(0.3)
    fail(f"no database after {SECONDS} s:\n{shop.logs(tail=20).decode()}")
