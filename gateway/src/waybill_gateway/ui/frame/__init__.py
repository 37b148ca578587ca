"""What every page has: its session and guard, forms of that session, templates that become answers."""

from waybill_gateway.ui.frame import assets, formats, sign_in
from waybill_gateway.ui.frame.forms import body_of, numbers
from waybill_gateway.ui.frame.page import Page, PageDep
from waybill_gateway.ui.frame.page_route import PageRoute, SubmittedDep, pages_router

__all__ = [
    "Page",
    "PageDep",
    "PageRoute",
    "SubmittedDep",
    "assets",
    "body_of",
    "formats",
    "numbers",
    "pages_router",
    "sign_in",
]
