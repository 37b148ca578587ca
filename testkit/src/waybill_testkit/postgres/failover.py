"""Failover of PostgreSQL: a server refuses writes, and its standby accepts them."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from waybill_testkit.machine import free_ports
from waybill_testkit.postgres.private import (
    InstalledPostgres,
    Postgres,
    PostgresError,
    as_user,
    unprivileged_user,
)


def set_read_only(server: Postgres, *, on: bool) -> None:
    """Makes the server refuse writes, also in open sessions, or accept them again."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(
            f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}".encode()
        )
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("RESET default_transaction_read_only")
        while _is_read_only(connection) != on:
            connection.execute("SELECT pg_sleep(0.02)")


@contextmanager
def read_only(server: Postgres) -> Iterator[None]:
    """Makes the server refuse writes for the time of the `with` block."""
    set_read_only(server, on=True)
    try:
        yield
    finally:
        set_read_only(server, on=False)


@contextmanager
def standby_of(primary: InstalledPostgres) -> Iterator[InstalledPostgres]:
    """A standby that replicates the primary and can be promoted: see `promote`.

    Raises:
        PostgresError: it could not be made.
    """
    user = unprivileged_user()
    with tempfile.TemporaryDirectory(prefix="waybill-standby-") as name:
        folder = Path(name)
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        copied = subprocess.run(  # noqa: S603 - the program was found among fixed places
            [
                *(primary.programs / "pg_basebackup", "-D", folder / "data", "-R", "-X", "stream"),
                *("-c", "fast", "-d", primary.url),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **as_user(user),
        )
        if copied.returncode != 0:
            raise PostgresError(f"pg_basebackup failed:\n{copied.stdout}")
        (port,) = free_ports(1)
        parts = urlsplit(primary.url)
        url = primary.url.replace(f":{parts.port}/", f":{port}/")
        standby = replace(primary, url=url, folder=folder, _running=[])
        try:
            standby.start()
            yield standby
        finally:
            standby.stop()


def promote(standby: Postgres) -> None:
    """Makes the standby a primary; returns when it takes writes."""
    with psycopg.connect(standby.url, autocommit=True) as connection:
        connection.execute("SELECT pg_promote(wait => true)")
        while _is_read_only(connection):
            connection.execute("SELECT pg_sleep(0.02)")


def _is_read_only(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    row = connection.execute("SHOW transaction_read_only").fetchone()
    return row is not None and row[0] == "on"
