"""The inbox: a service's record of the attempts that it has claimed and done."""

from waybill_worker.inbox.claims import AlreadyDone, Busy, Claimed, Superseded
from waybill_worker.inbox.inbox import RENEWALS_PER_LEASE, Inbox, LeaseLostError
from waybill_worker.inbox.kept_messages import KeptKey, KeptMessage, KeptMessages
from waybill_worker.inbox.pruning import InboxPruner
from waybill_worker.inbox.table import INBOX

__all__ = [
    "INBOX",
    "RENEWALS_PER_LEASE",
    "AlreadyDone",
    "Busy",
    "Claimed",
    "Inbox",
    "InboxPruner",
    "KeptKey",
    "KeptMessage",
    "KeptMessages",
    "LeaseLostError",
    "Superseded",
]
