from pathlib import Path

import psycopg
import pytest

from waybill_testkit.postgres.private import Postgres
from waybill_testkit.postgres.programs import find_programs


def program(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)


def test_each_database_is_fresh_and_gone_afterwards(postgres: Postgres) -> None:
    with postgres.database() as one, postgres.database() as two:
        with psycopg.connect(one) as connection:
            connection.execute("CREATE TABLE things (id int)")
        with psycopg.connect(two) as connection:
            row = connection.execute("SELECT to_regclass('things')").fetchone()
    assert row == (None,)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(one)


def test_a_connection_left_open_does_not_keep_a_database(postgres: Postgres) -> None:
    with postgres.database() as url:
        left = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError, match="terminating connection"):
        left.execute("SELECT 1")
    left.close()


def test_it_wants_its_password(postgres: Postgres) -> None:
    without = postgres.url.replace(postgres.url.split(":")[2].split("@")[0], "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(without)


def test_the_newest_of_the_known_places_is_found(tmp_path: Path) -> None:
    for version in ("15", "17"):
        for name in ("initdb", "postgres"):
            program(tmp_path / version / "bin", name)
    program(tmp_path / "18" / "bin", "psql")  # a client alone is no server

    assert find_programs("", places=(f"{tmp_path}/*/bin",)) == tmp_path / "17" / "bin"
    assert find_programs(str(tmp_path / "15" / "bin"), places=()) == tmp_path / "15" / "bin"
    assert find_programs(str(tmp_path / "18" / "bin"), places=()) is None
