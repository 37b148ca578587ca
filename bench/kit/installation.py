"""Waybill's own processes for a measurement: gateway, status, and a service in so many processes."""

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final

from sqlalchemy import Engine, text

from bench.kit.place import Place
from bench.kit.programs import Program, answers, python
from waybill_contracts.privacy import Keyring
from waybill_database import open_engine
from waybill_ledger.migrations import upgrade
from waybill_testkit.machine import LOOPBACK, free_ports

POLL_SECONDS: Final = 0.05
#: For what is waited for, on the slowest machine.
PATIENCE_SECONDS: Final = 300.0


class Installation:
    """What is needed to start them, on a ledger that is there already.

    Args:
        place: where.
        ledger_url: the database of the ledger.
        inbox_url: the database of the service's inbox.
    """

    def __init__(self, place: Place, ledger_url: str, inbox_url: str) -> None:
        self.sealing_key = Keyring.new_key()
        self._place = place
        self._ledger_url, self._inbox_url = ledger_url, inbox_url

    def make_ledger(self) -> None:
        """Makes an empty ledger."""
        upgrade(self._ledger_url)

    def gateway(self, **settings: object) -> Program:
        """The gateway; `settings` are its own, by their names without the prefix."""
        objects = f"file://{self._place.folder}/objects"
        return Program(
            "gateway",
            python("waybill_gateway"),
            self._environment
            | {
                "WAYBILL_OBJECT_STORE_URL": objects,
                "WAYBILL_LEDGER_URL": self._ledger_url,
                "WAYBILL_PORT": str(self._place.api_port),
                "WAYBILL_SYNC_TARGETS": '["crm"]',
            }
            | _variables(settings),
            answers(f"{self._place.api_url}/readyz", saying='"broker":true'),
        )

    def status(self, **settings: object) -> Program:
        """The status service; with `settings`."""
        (port,) = free_ports(1)
        special = {"WAYBILL_LEDGER_URL": self._ledger_url} | _variables(settings)
        return self._program("status", "waybill_status", port, special)

    def services(self, processes: int, environment: Mapping[str, str] | None = None) -> list[Program]:
        """The service, so many times; `environment` is what it needs beside."""
        special = {"WAYBILL_INBOX_URL": self._inbox_url} | dict(environment or {})
        return [
            self._program(f"service {number + 1}", "bench.apps.waybill_service", port, special)
            for number, port in enumerate(free_ports(processes))
        ]

    def count(self, query: str) -> int:
        """What a counting query over the ledger answers."""
        with self._engine.begin() as connection:
            return int(connection.execute(text(query)).scalar_one())

    def close(self) -> None:
        """Lets the database go."""
        self._engine.dispose()

    @cached_property
    def _engine(self) -> Engine:
        return open_engine(self._ledger_url, connections=1)

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **self._place.environment,
            "WAYBILL_AMQP_URL": self._place.amqp_url,
            "WAYBILL_SEALING_KEYS": self.sealing_key,
            "WAYBILL_PERSONS_KEY": self.sealing_key,
            "WAYBILL_LOG_LEVEL": "warning",
        }

    def _program(self, role: str, module: str, port: int, special: Mapping[str, str]) -> Program:
        environment = self._environment | dict(special) | {"WAYBILL_HEALTH_PORT": str(port)}
        return Program(role, python(module), environment, answers(f"http://{LOOPBACK}:{port}/readyz"))


def until(done: Callable[[], bool], *, what: str = "accepted tasks are done") -> None:
    """Returns when `done` is true; ends the command if that takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {PATIENCE_SECONDS:g} s: {what}")
        time.sleep(POLL_SECONDS)


def _variables(settings: Mapping[str, object]) -> dict[str, str]:
    return {f"WAYBILL_{name.upper()}": str(value) for name, value in settings.items()}
