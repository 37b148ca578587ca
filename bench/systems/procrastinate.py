"""FastAPI and Procrastinate: queue and record in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from procrastinate import App, SyncPsycopgConnector

from bench.kit.programs import Program, python
from bench.systems.database import Reading
from bench.systems.peer import Peer


class Procrastinate(Peer):
    """See `System`."""

    NAME: ClassVar = "FastAPI + Procrastinate"
    RECORDS: ClassVar = "job, status and its times, on disk; every accept flushed before its 202"
    SETUP: ClassVar = "no broker; PostgreSQL, 20 connections a process; 1 worker (1 process), 100 at once"
    NEEDS_POSTGRES: ClassVar[bool] = True
    API: ClassVar = "bench.apps.procrastinate_app:api"

    def prepare(self) -> None:
        url = self._place.postgres_url
        with App(connector=SyncPsycopgConnector(conninfo=url)).open() as app:
            app.schema_manager.apply_schema()
        self._reading = Reading(url)

    def working(self) -> Sequence[Program]:
        options = "--app bench.apps.procrastinate_app.app worker --concurrency 100 --delete-jobs never"
        return (
            Program(
                "worker",
                python("procrastinate", *options.split()),
                self._place.environment,
                lambda: self._reading.count("SELECT count(*) FROM procrastinate_workers") > 0,
            ),
        )

    def recorded(self, posted: int) -> int:  # noqa: ARG002 - it is counted by the records
        return self._reading.count("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'")

    def without_outcome(self, accepted: Mapping[str, int]) -> set[str]:
        rows = self._reading.rows("SELECT id FROM procrastinate_jobs WHERE status = 'succeeded'")
        return accepted.keys() - {str(row[0]) for row in rows}

    def close(self) -> None:
        self._reading.close()
