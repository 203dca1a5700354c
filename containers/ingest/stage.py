"""Fill a day with tables from elsewhere: one SQL statement over files, S3, HTTP or PostgreSQL.

--query yields all columns, and --target-column is the one that becomes target.csv. Or --data and
--target are a statement each, both in the same order (ORDER BY); --data alone writes no target.csv,
for a day whose labels come later. Without any of them the statements are read from sql/query.sql,
or sql/data.sql and sql/target.sql. {ds} in a statement is the day.

Paths in a statement are below /in: FROM 'source/{ds}.parquet'. CSV, Parquet and JSON are read; so
are s3://… and https://… and, as postgres.SCHEMA.TABLE, a database, with the variables named below.
Statements are DuckDB's: https://duckdb.org/docs/stable/sql/introduction

Dates and times are written as ISO 8601, those with a time zone in UTC (2013-01-06T14:35:00Z);
booleans are true and false; NULL, an empty text and NaN are the empty field. What does not fit into
memory goes to the disk of the output, and is gone when the stage ends.
"""

from generate import generate
from stageframe import Parameter, Program, calendar_day

program = Program(
    "ingest",
    __doc__,
    "In the environment, where they are needed:\n"
    "  S3          AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION,\n"
    "              AWS_ENDPOINT_URL (of another service than Amazon's)\n"
    "  HTTP        HTTP_BEARER_TOKEN\n"
    "  PostgreSQL  PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, PGSSLMODE, …; or POSTGRES_URL\n"
    "  TLS         SSL_CERT_FILE: certificates to trust, in the place of the usual ones",
)
program.verb(
    "generate",
    generate,
    "write data.csv and target.csv",
    Parameter("date", calendar_day, help="the day, such as 2013-01-06"),
    Parameter("query", str, "", "statement that yields the columns and the target", "SQL"),
    Parameter("target-column", str, "target", "column of --query that is the target", "NAME"),
    Parameter("data", str, "", "statement that yields the columns", "SQL"),
    Parameter("target", str, "", "statement that yields the target, a single column", "SQL"),
)

if __name__ == "__main__":
    program.main()
