"""Clients of the gateway: one that blocks, one for asyncio, over one description of its calls.

from waybill.client import Client, Submission, new_key

with Client("http://127.0.0.1:8000") as client:
    client.submit_many([Submission("invoice.requested", {"order_id": "17"}, key=new_key())])
"""

from waybill.answers import (
    AcceptedTask,
    Account,
    Cancellation,
    Contract,
    Counts,
    Handler,
    HandlerPolicy,
    Kind,
    KindDetails,
    Links,
    Parent,
    Progress,
    RedeemedPasswordReset,
    Schedule,
    ScheduleDetails,
    Slot,
    SlotTask,
    Subtask,
    Task,
    TaskEvent,
    TaskFile,
    Timeline,
    TimelineEvent,
    Unplaced,
    UnplacedTask,
)
from waybill.calls import Priority, ScheduleTiming, Source, Submission, SubmitOptions, TaskFilters, new_key
from waybill.client.async_client import AsyncClient
from waybill.client.async_schedules import AsyncSchedules
from waybill.client.replacement import using_transport
from waybill.client.settings import ApiKey, AsyncApiKey
from waybill.client.sink import Target
from waybill.client.sync_client import Client
from waybill.client.sync_schedules import Schedules

__all__ = [
    "AcceptedTask",
    "Account",
    "ApiKey",
    "AsyncApiKey",
    "AsyncClient",
    "AsyncSchedules",
    "Cancellation",
    "Client",
    "Contract",
    "Counts",
    "Handler",
    "HandlerPolicy",
    "Kind",
    "KindDetails",
    "Links",
    "Parent",
    "Priority",
    "Progress",
    "RedeemedPasswordReset",
    "Schedule",
    "ScheduleDetails",
    "ScheduleTiming",
    "Schedules",
    "Slot",
    "SlotTask",
    "Source",
    "Submission",
    "SubmitOptions",
    "Subtask",
    "Target",
    "Task",
    "TaskEvent",
    "TaskFile",
    "TaskFilters",
    "Timeline",
    "TimelineEvent",
    "Unplaced",
    "UnplacedTask",
    "new_key",
    "using_transport",
]
