"""What a handler knows of its attempt, and asks for."""

from waybill.attempt.attempt import Attempt, AttemptFacts, AttemptFiles
from waybill.attempt.sync_attempt import SyncAttempt, SyncFiles

__all__ = ["Attempt", "AttemptFacts", "AttemptFiles", "SyncAttempt", "SyncFiles"]
