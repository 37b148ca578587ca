"""Processes of an installation, with their permissions at the broker and their databases.

Services of the catalog are included automatically; another process needs a line in `PROCESSES`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from waybill_contracts.kinds import CATALOG, DESK_SERVICE, STATUS_SERVICE, WORK_SERVICES
from waybill_contracts.wire import names
from waybill_worker.broker import LEVELS, topology

#: Name of the default exchange in permissions of the broker.
DEFAULT_EXCHANGE: Final = "amq.default"
GATEWAY: Final = "gateway"
#: Processes that seal and open personal data; all others get no key.
SEALERS: Final[Sequence[str]] = (
    GATEWAY,
    STATUS_SERVICE,
    DESK_SERVICE,
    *(
        service
        for service in WORK_SERVICES
        if any(kind.event.is_sensitive() for kind in CATALOG.values() if service in kind.services)
    ),
)
#: Name of the shared database.
LEDGER: Final = "ledger"


@dataclass(frozen=True, slots=True)
class Rights:
    """The exchanges and queues that a broker user may configure, write to and read from."""

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

    @property
    def database_setting(self) -> str:
        """Name of the setting with the URL of its database."""
        return "waybill_ledger_url" if self.database == LEDGER else "waybill_inbox_url"


def _gateway_rights() -> Rights:
    return Rights(write=frozenset({names.EXCHANGE_TASKS, names.EXCHANGE_CONTROL}))


def _work_rights(service: str) -> Rights:
    ladder = map(names.delay_exchange, range(LEVELS))
    return Rights(
        write=frozenset({names.EXCHANGE_EVENTS, names.EXCHANGE_DEAD_LETTERS, *ladder}),
        read=frozenset({names.work_queue(service), names.control_queue(service)}),
    )


def _status_rights() -> Rights:
    # It declares everything; a binding needs write access to its target and read access to its source.
    everything = frozenset(
        {exchange.name for exchange in topology.exchanges()} | {queue.name for queue in topology.queues()}
    )
    # It publishes silent subtasks to the queue of one service, through the default exchange.
    return Rights(everything, everything | {DEFAULT_EXCHANGE}, everything)


def _desk_rights() -> Rights:
    # It redrives to the queue of one service, through the default exchange.
    letters = frozenset(map(names.dead_letter_queue, (*WORK_SERVICES, STATUS_SERVICE)))
    return Rights(write=frozenset({DEFAULT_EXCHANGE}), read=letters | {names.QUEUE_UNROUTED})


PROCESSES: Final[Sequence[Process]] = (
    Process(GATEWAY, _gateway_rights(), LEDGER),
    Process(STATUS_SERVICE, _status_rights(), LEDGER),
    Process(DESK_SERVICE, _desk_rights(), LEDGER),
    *(Process(service, _work_rights(service), f"inbox_{service}") for service in WORK_SERVICES),
)
