import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from waybill_database import open_engine
from waybill_testkit.certificates import Certificates
from waybill_testkit.eventually import eventually
from waybill_testkit.machine.one_at_a_time import one_at_a_time
from waybill_testkit.postgres.private import Postgres
from waybill_worker.runtime.tls import distrust


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """The server is shared by all tests: one at a time says whether it speaks TLS."""
    with one_at_a_time("database-tls"):
        yield


@pytest.fixture
async def tls_postgres(postgres: Postgres, certificates: Certificates) -> AsyncIterator[str]:
    """The URL of a PostgreSQL that speaks TLS; afterwards it does not."""
    [[folder]] = told(postgres, "SHOW data_directory")
    key = placed_key(Path(folder), certificates)
    if key is None:
        pytest.skip(f"its files are out of reach: {postgres.how}")
    try:
        for name, value in (("ssl_cert_file", key), ("ssl_key_file", key), ("ssl", "on")):
            told(postgres, f"ALTER SYSTEM SET {name} = '{value}'")
        await reloaded(postgres, "on")
        yield postgres.url
    finally:
        for name in ("ssl", "ssl_cert_file", "ssl_key_file"):
            told(postgres, f"ALTER SYSTEM RESET {name}")
        await reloaded(postgres, "off")


def placed_key(folder: Path, certificates: Certificates) -> Path | None:
    """The key and certificate, where the server may read them; None: nobody can put it there."""
    if not folder.is_dir():
        return None
    key = folder / "server.pem"
    shutil.copy(certificates.server, key)
    key.chmod(0o600)  # it takes no key that others may read
    owner = folder.stat()
    os.chown(key, owner.st_uid, owner.st_gid)
    return key


def told(postgres: Postgres, statement: str) -> list[Any]:
    """What a new connection is answered."""
    with psycopg.connect(postgres.url, autocommit=True, client_encoding="utf8") as connection:
        answer = connection.execute(statement.encode())
        return answer.fetchall() if answer.description else []


async def reloaded(postgres: Postgres, ssl: str) -> None:
    """Waits until what is new holds: reloading is only a signal to the server."""
    told(postgres, "SELECT pg_reload_conf()")
    await eventually(lambda: told(postgres, "SHOW ssl") == [(ssl,)])


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
