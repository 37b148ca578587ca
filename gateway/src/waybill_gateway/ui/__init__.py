"""The page for people, at /ui: what the API says, as HTML made by the gateway."""

from waybill_gateway.ui.frame import assets, sign_in
from waybill_gateway.ui.tasks import list_page

#: Modules whose routers make up the page.
PAGES = (assets, sign_in, list_page)

__all__ = ["PAGES"]
