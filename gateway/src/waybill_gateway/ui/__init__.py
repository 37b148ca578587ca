"""The page for people, at /ui: what the API says, as HTML made by the gateway."""

from waybill_gateway.ui.desk import group_pages, letter_pages, redrive_pages
from waybill_gateway.ui.frame import assets, sign_in
from waybill_gateway.ui.overview import overview_page
from waybill_gateway.ui.tasks import list_page, task_page

#: Modules whose routers make up the page.
PAGES = (assets, sign_in, overview_page, list_page, task_page, group_pages, letter_pages, redrive_pages)

__all__ = ["PAGES"]
