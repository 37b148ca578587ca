"""Tasks: accepted, listed, cancelled, accounted for, pruned."""

from waybill_gateway.tasks import (
    accounting_routes,
    cancellation_routes,
    pruning_routes,
    routes,
    submission_routes,
)
from waybill_gateway.tasks.data import checked_data
from waybill_gateway.tasks.models import (
    AMQP_PRIORITIES,
    DELAY_SECONDS,
    SEND_AT,
    AcceptedTask,
    Delay,
    Links,
    Priority,
    TaskPage,
    TaskQuery,
    TaskView,
    Timing,
    data_of,
    links_of,
    priority_name,
    shown,
)
from waybill_gateway.tasks.post import KeyedPostDep, PostDep
from waybill_gateway.tasks.post_route import PlainPosts, post_routes
from waybill_gateway.tasks.routes import find_task, no_such_task, person_of, task_filter, view_of
from waybill_gateway.tasks.submission import accept_task, key_reused, new_task, submit

__all__ = [
    "AMQP_PRIORITIES",
    "DELAY_SECONDS",
    "SEND_AT",
    "AcceptedTask",
    "Delay",
    "KeyedPostDep",
    "Links",
    "PlainPosts",
    "PostDep",
    "Priority",
    "TaskPage",
    "TaskQuery",
    "TaskView",
    "Timing",
    "accept_task",
    "accounting_routes",
    "cancellation_routes",
    "checked_data",
    "data_of",
    "find_task",
    "key_reused",
    "links_of",
    "new_task",
    "no_such_task",
    "person_of",
    "post_routes",
    "priority_name",
    "pruning_routes",
    "routes",
    "shown",
    "submission_routes",
    "submit",
    "task_filter",
    "view_of",
]
