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
from waybill_contracts.events.marks import (
    EACH,
    MARKS,
    Path,
    fields_marked,
    paths_marked,
    reference_in,
    values_at,
)

__all__ = [
    "EACH",
    "FILE",
    "MARKS",
    "PERSON",
    "SECRET",
    "SENSITIVE",
    "TASK_ID",
    "Event",
    "File",
    "Path",
    "Person",
    "Secret",
    "Sensitive",
    "TaskId",
    "WhenUncertain",
    "fields_marked",
    "paths_marked",
    "reference_in",
    "values_at",
]
