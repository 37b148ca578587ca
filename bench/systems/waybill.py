"""Waybill itself: gateway, one service, status; ledger and inbox in SQLite, flushed at each commit."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import ClassVar

from bench.place import Place
from bench.programs import Program, answers, python
from waybill_contracts.privacy import Keyring
from waybill_ledger.migrations import upgrade
from waybill_testkit.machine import LOOPBACK, free_ports


class Waybill:
    """See `System`."""

    NAME: ClassVar = "Waybill"
    RECORDS: ClassVar = "task, outcome, result and timeline, on disk; every accept flushed before its 202"
    SETUP: ClassVar = "quorum, confirms; gateway + service + status (3 processes); prefetch 100"

    def __init__(self, place: Place) -> None:
        self._place = place
        self._sealing_key = Keyring.new_key()
        self._ledger = place.folder / "ledger.db"
        self._status_port, self._worker_port = free_ports(2)
        self._reading: sqlite3.Connection | None = None

    def prepare(self) -> None:
        upgrade(self._ledger_url)
        self._reading = sqlite3.connect(f"file:{self._ledger}?mode=ro", uri=True)

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
        inbox = f"sqlite:///{self._place.folder / 'inbox.db'}"
        return (
            Program(
                "worker",
                python("bench.apps.waybill_service"),
                self._environment
                | {
                    "WAYBILL_INBOX_URL": inbox,
                    "WAYBILL_HEALTH_PORT": str(self._worker_port),
                    "WAYBILL_PREFETCH": "100",  # short tasks; the default, 20, is for calls to the outside
                },
                answers(f"http://{LOOPBACK}:{self._worker_port}/readyz"),
            ),
        )

    def outstanding(self) -> int:
        return self._count("SELECT count(*) FROM outbox")

    def recorded(self, posted: int) -> int:  # noqa: ARG002 - it is counted by the records
        return self._count("SELECT count(*) FROM tasks WHERE state = 'completed'")

    def without_outcome(self, accepted: Mapping[str, int]) -> set[str]:
        rows = self._query("SELECT id FROM tasks WHERE state = 'completed'")
        return accepted.keys() - {row[0] for row in rows}

    def close(self) -> None:
        if self._reading is not None:
            self._reading.close()

    @property
    def _ledger_url(self) -> str:
        return f"sqlite:///{self._ledger}"

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **self._place.environment,
            "WAYBILL_AMQP_URL": self._place.amqp_url,
            "WAYBILL_SEALING_KEYS": self._sealing_key,
            "WAYBILL_PERSONS_KEY": self._sealing_key,
            "WAYBILL_LOG_LEVEL": "warning",  # as all systems here
        }

    def _count(self, query: str) -> int:
        return int(self._query(query)[0][0])

    def _query(self, query: str) -> list[tuple[str]]:
        if self._reading is None:
            raise RuntimeError("prepare first")
        return self._reading.execute(query).fetchall()
