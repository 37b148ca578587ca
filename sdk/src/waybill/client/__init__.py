"""Clients of the gateway: one that blocks, one for asyncio, over one description of its calls."""

from waybill.client.answers import (
    AcceptedTask,
    Cancellation,
    Links,
    Parent,
    Progress,
    Slot,
    Subtask,
    Task,
    Timeline,
    TimelineEvent,
)
from waybill.client.async_client import AsyncClient
from waybill.client.keys import new_key
from waybill.client.settings import ApiKey, AsyncApiKey
from waybill.client.submission import Priority, Submission, SubmitOptions
from waybill.client.sync_client import Client
from waybill.client.tasks import TaskFilters

__all__ = [
    "AcceptedTask",
    "ApiKey",
    "AsyncApiKey",
    "AsyncClient",
    "Cancellation",
    "Client",
    "Links",
    "Parent",
    "Priority",
    "Progress",
    "Slot",
    "Submission",
    "SubmitOptions",
    "Subtask",
    "Task",
    "TaskFilters",
    "Timeline",
    "TimelineEvent",
    "new_key",
]
