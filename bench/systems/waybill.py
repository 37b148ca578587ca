"""Waybill itself: gateway, one service, status; flushed at each commit of an accept."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from bench.kit.load import Target
from bench.kit.payload import bulk_body
from bench.kit.place import Place
from bench.kit.programs import Program, answers, python
from bench.systems.database import Reading
from waybill_contracts.privacy import Keyring
from waybill_ledger.migrations import upgrade
from waybill_testkit.machine import LOOPBACK, free_ports

#: Tasks of a bulk.
BULK = 100


class Waybill:
    """See `System`; ledger and inbox in SQLite."""

    NAME: ClassVar = "Waybill"
    RECORDS: ClassVar = "task, outcome, result and timeline, on disk; every accept flushed before its 202"
    SETUP: ClassVar = "quorum, confirms; gateway + service + status (3 processes); prefetch 100"
    NEEDS_POSTGRES: ClassVar[bool] = False
    BULK: ClassVar[tuple[Target, int] | None] = (Target("/v1/tasks/bulk", partial(bulk_body, BULK)), BULK)

    def __init__(self, place: Place) -> None:
        self._place = place
        self._sealing_key = Keyring.new_key()
        self._status_port, self._worker_port = free_ports(2)

    def prepare(self) -> None:
        upgrade(self._ledger_url)
        self._reading = self._open()

    def accepting(self) -> Sequence[Program]:
        place = self._place
        return (
            Program(
                "status",
                python("waybill_status"),
                self._environment
                | {"WAYBILL_LEDGER_URL": self._ledger_url, "WAYBILL_HEALTH_PORT": str(self._status_port)},
                answers(f"http://{LOOPBACK}:{self._status_port}/readyz"),
            ),
            Program(
                "api",
                python("waybill_gateway"),
                self._environment
                | {
                    "WAYBILL_LEDGER_URL": self._ledger_url,
                    "WAYBILL_PORT": str(place.api_port),
                    "WAYBILL_OBJECT_STORE_URL": f"file://{place.folder}/objects",
                    "WAYBILL_SYNC_TARGETS": json.dumps(["crm"]),
                },
                # Without the broker it would accept too, and leave all to the sweep.
                answers(f"{place.api_url}/readyz", saying='"broker":true'),
            ),
        )

    def working(self) -> Sequence[Program]:
        return (
            Program(
                "worker",
                python("bench.apps.waybill_service"),
                self._environment
                | {
                    "WAYBILL_INBOX_URL": self._inbox_url,
                    "WAYBILL_HEALTH_PORT": str(self._worker_port),
                    "WAYBILL_PREFETCH": "100",  # short tasks; the default, 20, is for calls to the outside
                },
                answers(f"http://{LOOPBACK}:{self._worker_port}/readyz"),
            ),
        )

    def outstanding(self) -> int:
        return self._reading.count("SELECT count(*) FROM outbox")

    def recorded(self, posted: int) -> int:  # noqa: ARG002 - it is counted by the records
        return self._reading.count("SELECT count(*) FROM tasks WHERE state = 'completed'")

    def without_outcome(self, accepted: Mapping[str, int]) -> set[str]:
        rows = self._reading.rows("SELECT id FROM tasks WHERE state = 'completed'")
        return accepted.keys() - {row[0] for row in rows}

    def close(self) -> None:
        self._reading.close()

    @property
    def _ledger_url(self) -> str:
        return f"sqlite:///{self._place.folder}/ledger.db"

    @property
    def _inbox_url(self) -> str:
        return f"sqlite:///{self._place.folder}/inbox.db"

    def _open(self) -> Reading:
        return Reading(self._place.folder / "ledger.db")

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **self._place.environment,
            "WAYBILL_AMQP_URL": self._place.amqp_url,
            "WAYBILL_SEALING_KEYS": self._sealing_key,
            "WAYBILL_PERSONS_KEY": self._sealing_key,
            "WAYBILL_LOG_LEVEL": "warning",  # as all systems here
        }


class WaybillOnPostgres(Waybill):
    """See `System`; ledger and inbox in one PostgreSQL."""

    NAME: ClassVar = "Waybill, PostgreSQL"
    NEEDS_POSTGRES: ClassVar[bool] = True

    @property
    def _ledger_url(self) -> str:
        return self._place.postgres_url

    @property
    def _inbox_url(self) -> str:
        return self._place.postgres_url

    def _open(self) -> Reading:
        return Reading(self._place.postgres_url)
