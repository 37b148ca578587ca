"""What is written when tasks are accepted, and what a repeated call is answered."""

from waybill_ledger.acceptance.accept import Accepted, AcceptedBefore, Submission, accept, insert_tasks
from waybill_ledger.acceptance.idempotency import (
    CallErasedError,
    IdempotentCall,
    KeyedCall,
    KeyReusedError,
    Repeated,
    erase_content,
    look_up,
    reserve,
)
from waybill_ledger.acceptance.new_task import CompanionRow, NewTask, Slot, new_task_id
from waybill_ledger.acceptance.originals import (
    ABANDONED_AFTER,
    Mark,
    Removal,
    Renewal,
    Touch,
    delete_removed,
    mark_unused,
    release_originals,
    renew_marks,
    touch_originals,
)
from waybill_ledger.acceptance.password_resets import Redeemed, Redemption, Refusal, ResetToken, redeem

__all__ = [
    "ABANDONED_AFTER",
    "Accepted",
    "AcceptedBefore",
    "CallErasedError",
    "CompanionRow",
    "IdempotentCall",
    "KeyReusedError",
    "KeyedCall",
    "Mark",
    "NewTask",
    "Redeemed",
    "Redemption",
    "Refusal",
    "Removal",
    "Renewal",
    "Repeated",
    "ResetToken",
    "Slot",
    "Submission",
    "Touch",
    "accept",
    "delete_removed",
    "erase_content",
    "insert_tasks",
    "look_up",
    "mark_unused",
    "new_task_id",
    "redeem",
    "release_originals",
    "renew_marks",
    "reserve",
    "touch_originals",
]
