"""start.py [OPTION...]: runs the server, with these options of "mlflow server".

The admin's password is set at every start, so that the one in .env is the one that counts, also
when .env was made anew. MLflow itself looks at it on its first start alone.
"""

import os
import sys

import psycopg2
from werkzeug.security import generate_password_hash

with psycopg2.connect("") as connection, connection.cursor() as cursor:
    cursor.execute("SELECT to_regclass('users')")
    if cursor.fetchone() != (None,):
        password = generate_password_hash(os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"])
        cursor.execute("UPDATE users SET password_hash = %s WHERE username = 'admin'", [password])
connection.close()
os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *sys.argv[1:]])  # noqa: S606
