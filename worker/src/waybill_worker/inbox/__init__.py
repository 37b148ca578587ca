"""The inbox: a service's record of the attempts that it has claimed and done."""

from waybill_worker.inbox.claims import AlreadyDone, Busy, Claimed, Superseded
from waybill_worker.inbox.inbox import Inbox, LeaseLostError
from waybill_worker.inbox.pruning import InboxPruner
from waybill_worker.inbox.table import INBOX

__all__ = [
    "INBOX",
    "AlreadyDone",
    "Busy",
    "Claimed",
    "Inbox",
    "InboxPruner",
    "LeaseLostError",
    "Superseded",
]
