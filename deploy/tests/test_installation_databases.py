"""Roles and databases on a real PostgreSQL: who may get where, and that a second time changes nothing."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from yarl import URL

from waybill_contracts.registry import HandledKind, Manifest, built_in_registry
from waybill_database import open_engine
from waybill_deploy.databases import prepare
from waybill_deploy.secret_files import Places, SecretFiles
from waybill_ledger.access.first_keys import make_missing_keys
from waybill_ledger.registry import ApplyManifest, apply_manifests
from waybill_testkit.machine.one_at_a_time import one_at_a_time
from waybill_testkit.postgres.private import Postgres


@pytest.fixture(scope="module")
def files(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretFiles]:
    # Roles belong to the whole server, which the workers of a run share.
    with one_at_a_time("database-roles"):
        url = URL(postgres.url)
        made = SecretFiles(tmp_path_factory.mktemp("secrets"))
        made.make_missing(Places("127.0.0.1:5672", f"{url.host}:{url.port}"), built_in_registry())
        prepare(url, made.ledger_url(), made.database_urls())
        yield made


def urls(files: SecretFiles) -> dict[str, str]:
    return {url.user or "": str(url) for _, url in files.database_urls()}


def run(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_gateway_status_and_desk_work_on_the_rows_of_the_ledger(files: SecretFiles) -> None:
    for process in ("gateway", "status", "deadletters"):
        run(urls(files)[process], "SELECT count(*) FROM tasks")
        run(urls(files)[process], "DELETE FROM outbox")


def test_they_change_nothing_about_its_tables(files: SecretFiles) -> None:
    for statement in ("DROP TABLE outbox", "ALTER TABLE tasks ADD x int", "CREATE TABLE more (x int)"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(urls(files)["gateway"], statement)


def test_a_service_owns_its_inbox_and_gets_nowhere_else(files: SecretFiles) -> None:
    own = URL(urls(files)["email"])
    run(str(own), "CREATE TABLE inbox_test (x int)")
    run(str(own), "DROP TABLE inbox_test")
    for database in ("ledger", "inbox_sync"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            run(str(own.with_path(f"/{database}")), "SELECT 1")


def test_what_a_later_migration_makes_is_theirs_too(files: SecretFiles) -> None:
    run(files.ledger_url(), "CREATE TABLE later (id serial PRIMARY KEY)")
    run(urls(files)["status"], "INSERT INTO later DEFAULT VALUES")
    run(files.ledger_url(), "DROP TABLE later")


def test_the_first_keys_are_made_once_and_one_that_was_revoked_stays_so(files: SecretFiles) -> None:
    url = files.ledger_url()
    for _ in range(2):
        make_missing_keys(url, files.first_keys())
        run(url, "UPDATE api_keys SET revoked_at = 1 WHERE name = 'operator'")
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT name, revoked_at FROM api_keys ORDER BY name").fetchall()
    assert found == [("operator", 1), ("prometheus", None)]


def test_a_second_time_changes_nothing_but_a_password_that_was_replaced(
    files: SecretFiles, postgres: Postgres
) -> None:
    replaced = [
        (database, url.with_password("another") if url.user == "sync" else url)
        for database, url in files.database_urls()
    ]
    prepare(URL(postgres.url), files.ledger_url(), replaced)
    run(urls(files)["gateway"], "SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        run(urls(files)["sync"], "SELECT 1")
    prepare(URL(postgres.url), files.ledger_url(), files.database_urls())
    run(urls(files)["sync"], "SELECT 1")


def test_a_service_that_was_registered_gets_its_inbox_while_all_runs(
    files: SecretFiles, postgres: Postgres
) -> None:
    handled = HandledKind(kind="scan.requested", reads=(1,), data={"type": "object"})
    stated = Manifest(service="scan-desk", release="1", handles=(handled,))
    engine = open_engine(files.ledger_url(), connections=1)
    with engine.begin() as connection:
        apply_manifests(connection, [ApplyManifest(stated, datetime.now(UTC), "ann")])
    engine.dispose()
    url = URL(postgres.url)
    # The superuser of the private server has another name.
    password = (files.folder / "postgres" / "password").read_text().strip()
    run(postgres.url, f"CREATE ROLE postgres SUPERUSER LOGIN PASSWORD '{password}'")
    command = [sys.executable, "-m", "waybill_deploy", "accounts", "--folder", str(files.folder)]
    places = ["--database", f"{url.host}:{url.port}", "--broker", "127.0.0.1:5672"]
    runs = [
        subprocess.run([*command, *places], capture_output=True, text=True, check=False) for _ in range(2)
    ]
    assert [(ran.returncode, ran.stderr) for ran in runs] == [(0, "")] * 2
    assert "scan-desk" in runs[0].stdout

    own = urls(files)["scan-desk"]
    run(own, "CREATE TABLE inbox_test (x int)")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        run(str(URL(own).with_path("/ledger")), "SELECT 1")
