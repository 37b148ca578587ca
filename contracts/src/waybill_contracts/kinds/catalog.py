"""Which services handle which kind. A new kind needs a module with its event, and a line here."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from waybill_contracts.events import Event
from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.kinds.images import ImageUploaded
from waybill_contracts.kinds.password_resets import PasswordResetRequested
from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.kinds.users import UserCreated


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of task: its event, and the services that each do one subtask of it."""

    event: type[Event]
    services: tuple[str, ...]


CATALOG: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        kind.event.KIND: kind
        for kind in (
            Kind(EmailRequested, ("email",)),
            Kind(PasswordResetRequested, ("email",)),
            Kind(ImageUploaded, ("images",)),
            Kind(UserCreated, ("email", "sync")),
            Kind(SyncRequested, ("sync",)),
        )
    }
)
#: The services that do subtasks.
WORK_SERVICES: Final = tuple(sorted({name for kind in CATALOG.values() for name in kind.services}))
#: The service that applies lifecycle events to the ledger.
STATUS_SERVICE: Final = "status"
#: The service that records dead letters in the ledger, and redrives them.
DESK_SERVICE: Final = "deadletters"
