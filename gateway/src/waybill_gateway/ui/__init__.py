"""The page for people, at /ui: what the API says, as HTML made by the gateway."""

from waybill_gateway.ui.administration import account_page, audit_page, key_pages, queues_page
from waybill_gateway.ui.catalog import kind_pages, post_pages, service_pages
from waybill_gateway.ui.desk import (
    edit_pages,
    group_pages,
    letter_list_page,
    letter_pages,
    redrive_pages,
)
from waybill_gateway.ui.frame import assets, sign_in
from waybill_gateway.ui.overview import overview_page
from waybill_gateway.ui.schedules import new_pages, schedule_pages
from waybill_gateway.ui.tasks import cancel_pages, list_page, task_page

#: Modules whose routers make up the page.
PAGES = (
    assets,
    sign_in,
    overview_page,
    list_page,
    # Its path would match that of a task.
    cancel_pages,
    task_page,
    group_pages,
    # Its paths would match that of a letter.
    letter_list_page,
    letter_pages,
    edit_pages,
    redrive_pages,
    kind_pages,
    post_pages,
    service_pages,
    # Its path would match that of a schedule.
    new_pages,
    schedule_pages,
    account_page,
    audit_page,
    key_pages,
    queues_page,
)

__all__ = ["PAGES"]
