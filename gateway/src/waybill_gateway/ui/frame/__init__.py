"""What every page has: its session and guard, forms of that session, templates that become answers."""

from waybill_gateway.ui.frame import assets, formats, sign_in
from waybill_gateway.ui.frame.forms import body_of, numbers
from waybill_gateway.ui.frame.page import Page, PageDep
from waybill_gateway.ui.frame.page_route import PageRoute, Submitted, SubmittedDep, pages_router
from waybill_gateway.ui.frame.refusals import REFUSALS, Refusal, refusal_of
from waybill_gateway.ui.frame.windows import WINDOW_WORDS, WINDOWS, Within

__all__ = [
    "REFUSALS",
    "WINDOWS",
    "WINDOW_WORDS",
    "Page",
    "PageDep",
    "PageRoute",
    "Refusal",
    "Submitted",
    "SubmittedDep",
    "Within",
    "assets",
    "body_of",
    "formats",
    "numbers",
    "pages_router",
    "refusal_of",
    "sign_in",
]
