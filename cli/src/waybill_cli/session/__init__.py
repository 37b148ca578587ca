"""Shared by every command: configuration, client of the gateway, abbreviated ids, listings."""

from waybill_cli.session.config import Setting, place
from waybill_cli.session.gateway import Gateway
from waybill_cli.session.ids import (
    Id,
    find_group_id,
    find_key_id,
    find_schedule_id,
    find_task_id,
    is_beginning,
    with_whole_group,
)
from waybill_cli.session.listing import DEFAULT_LIMIT, list_options, show_listing
from waybill_cli.session.services import service_option, services_of
from waybill_cli.session.session import Session, with_session

__all__ = [
    "DEFAULT_LIMIT",
    "Gateway",
    "Id",
    "Session",
    "Setting",
    "find_group_id",
    "find_key_id",
    "find_schedule_id",
    "find_task_id",
    "is_beginning",
    "list_options",
    "place",
    "service_option",
    "services_of",
    "show_listing",
    "with_session",
    "with_whole_group",
]
