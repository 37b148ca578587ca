"""The relay of the application outbox: from rows to accepted tasks."""

from waybill.outbox.relay.run import RunningRelay, run

__all__ = ["RunningRelay", "run"]
