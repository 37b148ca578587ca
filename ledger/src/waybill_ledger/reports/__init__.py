"""Reading the ledger: tasks, listings, the account, measures."""

from waybill_ledger.reports.accounting import Account, take_account
from waybill_ledger.reports.measurement import (
    Measurement,
    QueueMeasured,
    last_measurement,
    store_measurements,
)
from waybill_ledger.reports.measures import Gap, Measures, OpenWork, measure, oldest_finished, open_work
from waybill_ledger.reports.outlook import Outlook, outlook
from waybill_ledger.reports.queries import (
    Page,
    Progress,
    Task,
    TaskFilter,
    TimelineEntry,
    count_tasks,
    get_task,
    get_tasks,
    get_timeline,
    list_tasks,
)
from waybill_ledger.reports.unplaced import Range, Unplaced

__all__ = [
    "Account",
    "Gap",
    "Measurement",
    "Measures",
    "OpenWork",
    "Outlook",
    "Page",
    "Progress",
    "QueueMeasured",
    "Range",
    "Task",
    "TaskFilter",
    "TimelineEntry",
    "Unplaced",
    "count_tasks",
    "get_task",
    "get_tasks",
    "get_timeline",
    "last_measurement",
    "list_tasks",
    "measure",
    "oldest_finished",
    "open_work",
    "outlook",
    "store_measurements",
    "take_account",
]
