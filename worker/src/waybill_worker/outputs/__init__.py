"""What a handler gives beside its result: progress, and further tasks."""

from waybill_worker.outputs.progress import ProgressReports
from waybill_worker.outputs.spawning import KeyringSource, Priority, Spawning, no_keyring

__all__ = ["KeyringSource", "Priority", "ProgressReports", "Spawning", "no_keyring"]
