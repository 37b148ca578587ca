"""Following what happens to all tasks, as one list of events without a gap."""

from waybill_ledger.following.changes import Change, Follower, Look, changes_between, changes_of

__all__ = ["Change", "Follower", "Look", "changes_between", "changes_of"]
