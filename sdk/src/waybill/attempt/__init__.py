"""What a handler knows of its attempt, and asks for."""

from waybill.attempt.attempt import Attempt, AttemptFacts, AttemptFiles, Priority
from waybill.attempt.sync_attempt import SyncAttempt, SyncFiles

__all__ = ["Attempt", "AttemptFacts", "AttemptFiles", "Priority", "SyncAttempt", "SyncFiles"]
