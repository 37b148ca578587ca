import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from chassis.tls import distrust
from database import open_engine
from devstack.certificates import Certificates
from devstack.postgres import Postgres


@pytest.fixture
def tls_postgres(postgres: Postgres, certificates: Certificates) -> Iterator[str]:
    """The URL of a PostgreSQL that speaks TLS; afterwards it does not."""
    with psycopg.connect(postgres.url, autocommit=True, client_encoding="utf8") as connection:
        [[folder]] = connection.execute("SHOW data_directory").fetchall()
        if not Path(folder).is_dir():
            pytest.skip(f"its files are out of reach: {postgres.how}")
        key = Path(folder) / "server.pem"
        shutil.copy(certificates.server, key)
        key.chmod(0o600)  # it takes no key that others may read
        owner = Path(folder).stat()
        os.chown(key, owner.st_uid, owner.st_gid)
        for name in ("ssl_cert_file", "ssl_key_file"):
            connection.execute(f"ALTER SYSTEM SET {name} = '{key}'".encode())
        connection.execute("ALTER SYSTEM SET ssl = on")
        connection.execute("SELECT pg_reload_conf()")
        yield postgres.url
        for name in ("ssl", "ssl_cert_file", "ssl_key_file"):
            connection.execute(f"ALTER SYSTEM RESET {name}".encode())
        connection.execute("SELECT pg_reload_conf()")


def version(url: str) -> str:
    engine = open_engine(url, connections=1)
    try:
        with engine.connect() as connection:
            query = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"
            return str(connection.scalar(text(query)))
    finally:
        engine.dispose()


def test_the_url_says_whom_to_trust_as_the_database(tls_postgres: str, certificates: Certificates) -> None:
    assert version(f"{tls_postgres}?sslmode=verify-full&sslrootcert={certificates.ca}") in {
        "TLSv1.2",
        "TLSv1.3",
    }


def test_a_database_that_nobody_vouches_for_is_refused_and_told_apart(
    tls_postgres: str, certificates: Certificates
) -> None:
    with pytest.raises(OperationalError) as refused:
        version(f"{tls_postgres}?sslmode=verify-full&sslrootcert={certificates.strangers_ca}")

    assert "certificate verify failed" in (distrust(refused.value) or "")


def test_a_database_without_tls_is_refused_where_tls_is_asked_for(
    postgres: Postgres, certificates: Certificates
) -> None:
    with pytest.raises(OperationalError) as refused:
        version(f"{postgres.url}?sslmode=verify-full&sslrootcert={certificates.ca}")

    assert distrust(refused.value) is not None


def test_a_database_that_is_away_is_not_distrusted(certificates: Certificates) -> None:
    url = f"postgresql://waybill@127.0.0.1:1/x?sslmode=verify-full&sslrootcert={certificates.ca}"
    with pytest.raises(OperationalError) as refused:
        version(url)

    assert distrust(refused.value) is None
