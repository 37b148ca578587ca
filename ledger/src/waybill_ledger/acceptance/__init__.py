"""What is written when tasks are accepted, and what a repeated call is answered."""

from waybill_ledger.acceptance.accept import (
    Acceptance,
    Accepted,
    AcceptedBefore,
    FilesMissing,
    Submission,
    accept,
    accept_together,
    insert_tasks,
    missing_files,
)
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
from waybill_ledger.acceptance.new_task import CompanionRow, NewTask, Parent, Slot, new_task_id
from waybill_ledger.acceptance.password_resets import Redeemed, Redemption, Refusal, ResetToken, redeem
from waybill_ledger.acceptance.person_digests import Persons, PersonSettings
from waybill_ledger.acceptance.spawned import AcceptedSpawn, SpawnTerms, accept_spawned

__all__ = [
    "Acceptance",
    "Accepted",
    "AcceptedBefore",
    "AcceptedSpawn",
    "CallErasedError",
    "CompanionRow",
    "FilesMissing",
    "IdempotentCall",
    "KeyReusedError",
    "KeyedCall",
    "NewTask",
    "Parent",
    "PersonSettings",
    "Persons",
    "Redeemed",
    "Redemption",
    "Refusal",
    "Repeated",
    "ResetToken",
    "Slot",
    "SpawnTerms",
    "Submission",
    "accept",
    "accept_spawned",
    "accept_together",
    "erase_content",
    "insert_tasks",
    "look_up",
    "missing_files",
    "new_task_id",
    "redeem",
    "reserve",
]
