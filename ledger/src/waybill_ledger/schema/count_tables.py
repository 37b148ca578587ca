"""The tables of the numbers behind the overview: counts by time, and the last measurement."""

from typing import Final

from sqlalchemy import JSON, BigInteger, Column, Integer, String, Table

from waybill_database import Instant
from waybill_ledger.schema.tables import METADATA

#: Upper bounds in seconds of the classes by which times are counted, from at once to a day; the last class
#: holds what took longer. The histogram of pickups at /metrics has the same.
CLASS_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 86_400)
#: What is counted of tasks: those accepted, and those that got an outcome.
TASK_COUNTS: Final = ("accepted", "tasks_completed", "tasks_failed", "tasks_cancelled")
#: What is counted of subtasks: outcomes, and attempts that began, will be repeated, or were put off.
SUBTASK_COUNTS: Final = ("completed", "failed", "cancelled", "attempts", "retries", "snoozes")
#: Numbers of subtasks by the time until their first attempt, and of attempts by the time that they ran.
PICKUP_CLASSES: Final = tuple(f"pickup_{number:02}" for number in range(len(CLASS_BOUNDS) + 1))
HANDLER_CLASSES: Final = tuple(f"handler_{number:02}" for number in range(len(CLASS_BOUNDS) + 1))
#: All that is counted.
COUNTED: Final = (*TASK_COUNTS, *SUBTASK_COUNTS, *PICKUP_CLASSES, *HANDLER_CLASSES)

#: One row for each minute or hour, and what is counted in it: see the room `counts`.
COUNTS = Table(
    "counts",
    METADATA,
    Column("seconds", Integer, primary_key=True, autoincrement=False),  # length of the time: 60 or 3600
    Column("at", Instant, primary_key=True),  # its beginning
    Column("tenant", String(63), primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("service", String(64), primary_key=True),  # empty: of tasks that were accepted
    # The session that counts, so that none waits for another one's row; 0 where only one writes.
    Column("session", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, Integer, nullable=False, server_default="0") for name in COUNTED),
    # One tree instead of two, which every batch would change.
    sqlite_with_rowid=False,
)
#: One row, once something was measured: see `reports.measurement`.
MEASUREMENTS = Table(
    "measurements",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("measured", JSON(none_as_null=True), nullable=False),
)
