"""start.py [OPTION...]: runs the server, with these options of "mlflow server".

Passwords are files, and set at every start, so that those in .env are the ones that count, also
when .env was made anew. MLflow itself looks at the admin's on its first start alone, and takes it,
the database's and its key from the environment, where no other container can see them.
"""

import base64
import hashlib
import os
import sys
from pathlib import Path

import psycopg2
import users
from migrate import migrate
from werkzeug.security import generate_password_hash

SECRETS = Path("/run/secrets")
VARIABLES = {
    "PGPASSWORD": "MLFLOW_DB_PASSWORD",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "MLFLOW_ADMIN_PASSWORD",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "MLFLOW_SECRET_KEY",
}


def secret(name: str) -> str:
    """Return what a file says. Raises OSError."""
    return (SECRETS / name).read_text(encoding="utf-8").strip()


def key_of_webhooks(secret_key: str) -> str:
    """Return what the secrets of webhooks are kept by in the database: a Fernet key.

    Without one MLflow makes another at each start, and can read none of them any more.
    """
    digest = hashlib.sha256(f"webhooks {secret_key}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()


def set_password_of_admin(password: str) -> None:
    """Set it if there are users already; otherwise MLflow makes this one."""
    with psycopg2.connect("") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('users')")
        if cursor.fetchone() != (None,):
            hashed = generate_password_hash(password)
            cursor.execute("UPDATE users SET password_hash = %s WHERE username = 'admin'", [hashed])
    connection.close()


def provide_stages_meanwhile() -> None:
    """Make the stages' user when the server is up, in a process that is no child of it."""
    if os.fork() == 0:
        if os.fork() == 0:
            users.provide(secret("MLFLOW_STAGES_PASSWORD"), secret("MLFLOW_ADMIN_PASSWORD"))
        os._exit(0)
    os.wait()


os.environ.update({variable: secret(name) for variable, name in VARIABLES.items()})
os.environ["MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"] = key_of_webhooks(secret("MLFLOW_SECRET_KEY"))
migrate()
set_password_of_admin(os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"])
provide_stages_meanwhile()
os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *sys.argv[1:]])  # noqa: S606
