"""The base of all events, and the marks of their fields: what a contract is written with."""

from waybill_contracts.events.event import (
    FILE,
    PERSON,
    SECRET,
    SENSITIVE,
    TASK_ID,
    Event,
    File,
    Person,
    Secret,
    Sensitive,
    TaskId,
    WhenUncertain,
)

__all__ = [
    "FILE",
    "PERSON",
    "SECRET",
    "SENSITIVE",
    "TASK_ID",
    "Event",
    "File",
    "Person",
    "Secret",
    "Sensitive",
    "TaskId",
    "WhenUncertain",
]
