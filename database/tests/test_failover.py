"""A primary turns read-only, and another server takes over: writes wait for it, and then go there."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from waybill_database import Fault, Records, fault_of
from waybill_database.engine import parse_url
from waybill_testkit.postgres.failover import promote, read_only, set_read_only, standby_of
from waybill_testkit.postgres.private import InstalledPostgres


def store(connection: Connection, items: Sequence[int]) -> Sequence[None]:
    connection.execute(text("INSERT INTO things VALUES (:id)"), [{"id": item} for item in items])
    return [None] * len(items)


def count(connection: Connection) -> int:
    return connection.scalar(text("SELECT count(*) FROM things")) or 0


@asynccontextmanager
async def records_of(url: str) -> AsyncIterator[Records]:
    records = Records(url, readers=2)
    with records.engine.begin() as connection:
        connection.execute(text("CREATE TABLE things (id INTEGER)"))
    yield records
    await records.close()


async def test_while_it_is_read_only_writes_fail_for_now_and_reads_go_on(
    own_postgres: InstalledPostgres,
) -> None:
    with own_postgres.database() as url:
        async with records_of(url) as records:
            await records.write(store, 1)
            assert await records.is_writable()
            with read_only(own_postgres):
                with pytest.raises(DBAPIError) as refused:
                    await records.write(store, 2)
                assert not await records.is_writable()
                assert await records.read(count) == 1
            assert fault_of(refused.value) is Fault.STALE
            assert await records.is_writable()
            await records.write(store, 2)
            assert await records.read(count) == 2


@pytest.mark.parametrize("told_by", ["a write", "a look"])
async def test_connections_go_to_the_server_that_took_over(
    own_postgres: InstalledPostgres, told_by: str
) -> None:
    with own_postgres.database() as url, standby_of(own_postgres) as standby:
        one, other = (urlsplit(server.url) for server in (own_postgres, standby))
        both = url.replace(
            f"@{one.hostname}:{one.port}", f"@{one.hostname}:{one.port},{other.hostname}:{other.port}"
        )
        async with records_of(f"{both}?target_session_attrs=read-write") as records:
            await records.write(store, 1)
            # The old primary stays up and keeps its connections: nothing else tells that it is none any more.
            set_read_only(own_postgres, on=True)
            try:
                promote(standby)
                if told_by == "a write":
                    with pytest.raises(DBAPIError):
                        await records.write(store, 2)
                else:
                    assert not await records.is_writable()
                await records.write(store, 2)
                assert await records.is_writable()
                port = await records.read(lambda connection: connection.scalar(text("SHOW port")))
            finally:
                set_read_only(own_postgres, on=False)
            assert port == str(other.port)
            assert await records.read(count) == 2


async def test_whoever_asks_again_leaves_the_others_their_answer(tmp_path: Path) -> None:
    async def asked_twice(records: Records) -> list[bool]:
        return [await records.is_writable(), await records.is_writable()]

    async with records_of(f"sqlite:///{tmp_path}/some.db") as records:
        answers = await asyncio.gather(*(asked_twice(records) for _ in range(3)))

    assert answers == [[True, True]] * 3


async def test_a_sqlite_in_a_folder_that_cannot_be_written_is_not_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with records_of(f"sqlite:///{tmp_path}/some.db") as records:
        assert await records.is_writable()
        # In root's stead, who may write everywhere.
        monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == tmp_path and mode == os.W_OK))
        assert not await records.is_writable()


async def test_a_turn_that_cannot_be_taken_is_an_absence_and_no_defect(tmp_path: Path) -> None:
    turn = tmp_path / "some.db.turn"
    async with records_of(f"sqlite:///{tmp_path}/some.db") as records:
        turn.mkdir()
        with pytest.raises(DBAPIError) as refused:
            await records.write(store, 1)
        turn.rmdir()
        await records.write(store, 1)

    assert fault_of(refused.value) is Fault.AWAY


@pytest.mark.parametrize("url", ["nonsense", "postgresql://u:hunter2@host:port/name", "://"])
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="not the URL of a database") as refused:
        parse_url(url)

    assert "hunter2" not in str(refused.value)
