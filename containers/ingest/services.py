"""Where a statement's tables may be besides /in, by variables of the environment."""

import os
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import certifi
from duckdb import DuckDBPyConnection
from sql import literal
from stageframe import WRONG_USAGE, StageError

ADDRESSES = ("s3://", "http://", "https://")
SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "HTTP_BEARER_TOKEN",
    "PGPASSWORD",
    "POSTGRES_URL",
)
# Whether a service is there is known in seconds.
HTTP = {"http_timeout": "20", "http_retries": "2", "httpfs_client_implementation": "'curl'"}
POSTGRES = {"PGCONNECT_TIMEOUT": "10", "PGAPPNAME": "microstage ingest"}

URL_OPTIONS = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "application_name": "PGAPPNAME",
}


def names_address(sql: str) -> bool:
    """Tell whether a statement reads from S3 or over HTTP."""
    return re.search("|".join(ADDRESSES), sql, re.IGNORECASE) is not None


def names_database(environment: Mapping[str, str]) -> bool:
    """Tell whether the environment says where a PostgreSQL is."""
    return any(environment.get(name) for name in ("PGHOST", "PGHOSTADDR", "POSTGRES_URL"))


def connect_http(connection: DuckDBPyConnection, environment: Mapping[str, str]) -> None:
    """Let statements read s3:// and https:// with the environment's credentials."""
    certificates = environment.get("SSL_CERT_FILE") or certifi.where()
    settings = {
        **HTTP,
        "ca_cert_file": literal(certificates),
        "enable_curl_server_cert_verification": "true",
        "enable_global_s3_configuration": "false",
        "merge_http_secret_into_s3_request": "false",
    }
    for name, value in settings.items():
        connection.execute(f"SET {name} = {value}")
    create_secret(connection, "s3", s3_options(environment))
    if token := environment.get("HTTP_BEARER_TOKEN"):
        create_secret(connection, "http", {"BEARER_TOKEN": literal(token)})


def s3_options(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what DuckDB's secret for S3 is made of. Raises StageError (64).

    Another service than Amazon's has its buckets in the path of its one address.
    """
    given = {
        "KEY_ID": environment.get("AWS_ACCESS_KEY_ID"),
        "SECRET": environment.get("AWS_SECRET_ACCESS_KEY"),
        "SESSION_TOKEN": environment.get("AWS_SESSION_TOKEN"),
        "REGION": environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION"),
    }
    options = {name: literal(value) for name, value in given.items() if value}
    if endpoint := s3_endpoint(environment):
        address = urlsplit(endpoint)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise StageError(
                f"AWS_ENDPOINT_URL is {endpoint!r}: write it as http://HOST:PORT or https://HOST",
                WRONG_USAGE,
            )
        options["ENDPOINT"] = literal(address.netloc + address.path.rstrip("/"))
        options["USE_SSL"] = str(address.scheme == "https").lower()
        options["URL_STYLE"] = "'path'"
    return options


def s3_endpoint(environment: Mapping[str, str]) -> str:
    """Return where S3 is; "" is Amazon's."""
    return environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""


def create_secret(connection: DuckDBPyConnection, kind: str, options: Mapping[str, str]) -> None:
    """Make the secret of a kind of service, of values that are SQL."""
    given = "".join(f", {name} {value}" for name, value in options.items())
    connection.execute(f"CREATE SECRET {kind}_secret (TYPE {kind}{given})")


def attach_postgres(connection: DuckDBPyConnection, environment: Mapping[str, str]) -> None:
    """Let statements read the database as `postgres`; nobody can write to it."""
    # libpq reads them by itself, so that no password is in a statement, nor in what is said of it.
    os.environ.update(POSTGRES | postgres_variables(environment))
    connection.execute("ATTACH '' AS postgres (TYPE postgres, READ_ONLY)")


def postgres_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of libpq that the environment means. Raises StageError (64)."""
    found = {name: value for name, value in environment.items() if name.startswith("PG") and value}
    if certificates := environment.get("SSL_CERT_FILE"):
        found.setdefault("PGSSLROOTCERT", certificates)
    if url := environment.get("POSTGRES_URL"):
        found |= url_variables(url)
    return found


def url_variables(url: str) -> dict[str, str]:
    """Return postgresql://USER:PASSWORD@HOST:PORT/DATABASE as variables of libpq."""
    refused = StageError(
        "POSTGRES_URL is no address of a database: write it as "
        "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        WRONG_USAGE,
    )
    try:
        parts = urlsplit(url)
        port = str(parts.port or "")
    except ValueError:
        raise refused from None
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname:
        raise refused
    given = {
        "PGHOST": parts.hostname,
        "PGPORT": port,
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path.lstrip("/")),
    }
    for name, value in parse_qsl(parts.query):
        if name not in URL_OPTIONS:
            raise StageError(f"POSTGRES_URL has the option {name!r}: leave it out", WRONG_USAGE)
        given[URL_OPTIONS[name]] = value
    return {name: value for name, value in given.items() if value}
