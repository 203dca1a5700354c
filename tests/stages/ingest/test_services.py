"""Tables over a network: S3 (SeaweedFS), HTTP and PostgreSQL, with secrets by environment."""

import pytest
from ingest.services import LAKE, PASSWORD, SECRET, SHOP, Services

OBJECT = "FROM 's3://shop/{ds}/*.parquet'"
SALES = "SELECT id, price, sold, open FROM postgres.sales WHERE sold::DATE = '{ds}' ORDER BY id"


def test_objects_of_s3_are_read_with_the_keys_of_the_environment(services: Services) -> None:
    result = services.run(f"{OBJECT} WHERE open IS NOT NULL", LAKE)
    with_gap = services.run(OBJECT.replace("*", "sales"), LAKE)

    assert (0, 5) == (result.code, result.summary["rows"])
    assert 65 == with_gap.code
    assert "missing in 1 of 6 rows" in with_gap.last_error


def test_s3_over_tls_is_trusted_by_the_certificate_that_is_named(services: Services) -> None:
    environment = {**LAKE, "AWS_ENDPOINT_URL": "https://lake:8334"}
    named = {**environment, "SSL_CERT_FILE": "/in/certificates/lake.pem"}
    query = "SELECT id, id > 0 AS open FROM 's3://shop/{ds}/sales.parquet'"
    trusted = services.run(query, named, {"certificates": {"lake.pem": services.certificate}})
    unknown = services.run(query, environment)

    assert (0, 64) == (trusted.code, unknown.code)
    assert "SSL_CERT_FILE" in unknown.last_error


def test_a_database_is_read_with_the_password_of_the_environment(services: Services) -> None:
    result = services.run(SALES, SHOP)
    url = f"postgresql://reader:{PASSWORD.replace(' ', '%20')}@shop:5432/shop"
    by_url = services.run(SALES, {"POSTGRES_URL": url})
    expected = "id,price,sold\n" + "".join(
        f"{i},{price},2013-01-06T12:35:00Z\n"
        for i, price in ((1, "1.10"), (2, "2.20"), (3, "3.30"))
    )

    assert expected == (result.out / "data.csv").read_text()
    assert "target\nfalse\ntrue\nfalse\n" == (result.out / "target.csv").read_text()
    assert expected == (by_url.out / "data.csv").read_text()


def test_http_is_read(services: Services) -> None:
    url = "http://lake:8888/buckets/shop/{ds}/sales.parquet"
    result = services.run(f"FROM '{url}' WHERE open IS NOT NULL", {})

    assert (0, 5) == (result.code, result.summary["rows"])


@pytest.mark.parametrize(
    ("query", "changes", "code", "word"),
    [
        pytest.param("FROM 's3://shop/{ds}/none.parquet'", {}, 66, "none.parquet", id="object"),
        pytest.param("FROM 's3://shop/none/*.parquet'", {}, 66, "none/*.parquet", id="pattern"),
        pytest.param("FROM 's3://other/a.parquet'", {}, 66, "other", id="bucket"),
        pytest.param(OBJECT, {"AWS_SECRET_ACCESS_KEY": "wrong"}, 64, "credentials", id="secret"),
        pytest.param(
            OBJECT, {"AWS_ENDPOINT_URL": "http://lake:1"}, 75, "lake:1", id="nobody there"
        ),
        pytest.param(OBJECT, {"AWS_ENDPOINT_URL": "http://no:1"}, 75, "no:1", id="no such host"),
        pytest.param(OBJECT, {"AWS_ENDPOINT_URL": "lake:8333"}, 64, "http://", id="no address"),
        pytest.param("FROM 'http://lake:8333/shop/a.csv'", {}, 64, "refuses", id="HTTP refused"),
        pytest.param("FROM 'http://lake:8888/none.csv'", {}, 66, "none.csv", id="HTTP not found"),
        pytest.param("FROM postgres.none", {}, 66, "none", id="table"),
        pytest.param("SELECT id AS open FROM postgres.hidden", {}, 64, "hidden", id="rights"),
        pytest.param(SALES, {"PGPASSWORD": "wrong"}, 64, "PGPASSWORD", id="password"),
        pytest.param(SALES, {"PGSSLMODE": "require"}, 64, "SSL", id="no TLS"),
        pytest.param(SALES, {"PGDATABASE": "none"}, 66, "none", id="database"),
        pytest.param(SALES, {"PGPORT": "1"}, 75, "shop", id="no database there"),
        pytest.param(SALES, {"PGHOST": "none"}, 75, "none", id="no such database host"),
    ],
)
def test_what_a_service_refuses_is_said_without_a_secret(
    services: Services, query: str, changes: dict[str, str], code: int, word: str
) -> None:
    known = LAKE if "s3://" in query else SHOP if "postgres" in query else {}
    result = services.run(query, {**known, **changes})

    assert (code, 1) == (result.code, len(result.stderr.splitlines()))
    assert word in result.last_error
    assert not [secret for secret in (SECRET, PASSWORD) if secret in result.log]
    assert [] == [path.name for path in result.out.iterdir()]


def test_a_statement_cannot_write_to_the_database(services: Services) -> None:
    query = "FROM postgres_execute('postgres', 'DELETE FROM sales')"
    owner = {**SHOP, "PGUSER": "shop"}
    result = services.run(query, owner)

    assert 65 == result.code
    assert "read-only" in result.last_error
    assert 3 == services.run(SALES, SHOP).summary["rows"]
