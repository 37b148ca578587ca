"""Processes of an installation, with their permissions at the broker and their databases.

Gateway, status service and failure desk are the same everywhere; which services there are is in the registry.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from waybill_contracts.kinds import DESK_SERVICE, STATUS_SERVICE
from waybill_contracts.registry import Registry
from waybill_contracts.wire import names
from waybill_worker.broker import LEVELS, topology

#: Name of the default exchange in permissions of the broker.
DEFAULT_EXCHANGE: Final = "amq.default"
GATEWAY: Final = "gateway"
#: Name of the shared database.
LEDGER: Final = "ledger"
#: Regular expression of the names of services: those of manifests, `waybill_contracts.registry.Manifest`.
_SERVICE: Final = "[a-z][a-z0-9]*(-[a-z0-9]+)*"


@dataclass(frozen=True, slots=True)
class Rights:
    """Regular expressions of what a broker user may configure, write to and read from."""

    configure: frozenset[str] = frozenset()
    write: frozenset[str] = frozenset()
    read: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Process:
    """One process; its broker user and its database role have its name."""

    name: str
    rights: Rights
    #: `LEDGER`, or the name of its own database.
    database: str
    #: Whether it seals or opens personal data; all others get no key.
    seals: bool

    @property
    def database_setting(self) -> str:
        """Name of the setting with the URL of its database."""
        return "waybill_ledger_url" if self.database == LEDGER else "waybill_inbox_url"


def processes_of(registry: Registry) -> Sequence[Process]:
    """All processes of an installation, without services that are retired."""
    services = (name for name, service in registry.services.items() if not service.is_retired)
    return (
        *CORE,
        *(service_process(name, seals=_is_sealed(registry, name)) for name in sorted(services)),
    )


def service_process(service: str, *, seals: bool) -> Process:
    """The process of a registered service."""
    ladder = map(names.delay_exchange, range(LEVELS))
    rights = Rights(
        write=_exactly(names.EXCHANGE_EVENTS, names.EXCHANGE_DEAD_LETTERS, *ladder),
        read=_exactly(names.work_queue(service), names.control_queue(service)),
    )
    return Process(service, rights, f"inbox_{service}", seals)


def _is_sealed(registry: Registry, service: str) -> bool:
    return any(registry.sensitive(kind) for kind in registry.kinds_of(service))


def _exactly(*allowed: str) -> frozenset[str]:
    return frozenset(map(re.escape, allowed))


def _of_any_service(ends: Iterable[str]) -> frozenset[str]:
    # A service is registered while the others run: it must not need new rights of theirs.
    return frozenset(f"{_SERVICE}{re.escape(end)}" for end in ends)


def _gateway_rights() -> Rights:
    return Rights(write=_exactly(names.EXCHANGE_TASKS, names.EXCHANGE_CONTROL))


def _status_rights() -> Rights:
    # It declares everything; a binding needs write access to its target and read access to its source.
    shared = _exactly(
        *(exchange.name for exchange in topology.exchanges()),
        *(queue.name for queue in topology.queues(Registry())),
    )
    ends = (names.work_queue(""), names.control_queue(""), names.dead_letter_queue(""))
    everything = shared | _of_any_service(ends)
    # It publishes silent subtasks to the queue of one service, through the default exchange.
    return Rights(everything, everything | _exactly(DEFAULT_EXCHANGE), everything)


def _desk_rights() -> Rights:
    # It redrives to the queue of one service, through the default exchange.
    letters = _of_any_service([names.dead_letter_queue("")])
    return Rights(write=_exactly(DEFAULT_EXCHANGE), read=letters | _exactly(names.QUEUE_UNROUTED))


#: The processes that every installation has.
CORE: Final[Sequence[Process]] = (
    Process(GATEWAY, _gateway_rights(), LEDGER, seals=True),
    Process(STATUS_SERVICE, _status_rights(), LEDGER, seals=True),
    Process(DESK_SERVICE, _desk_rights(), LEDGER, seals=True),
)
