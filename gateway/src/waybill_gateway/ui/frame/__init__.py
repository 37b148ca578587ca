"""What every page has: its session and guard, forms of that session, templates that become answers."""

from waybill_gateway.ui.frame import assets, formats, sign_in
from waybill_gateway.ui.frame.forms import body_of, numbers
from waybill_gateway.ui.frame.page import Page, PageDep
from waybill_gateway.ui.frame.page_route import PageRoute, Submitted, SubmittedDep, pages_router
from waybill_gateway.ui.frame.posting import MARK_FIELD, new_mark, post_once
from waybill_gateway.ui.frame.refusals import REFUSALS, Refusal, refusal_of
from waybill_gateway.ui.frame.windows import WINDOW_WORDS, WINDOWS, Within

__all__ = [
    "MARK_FIELD",
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
    "new_mark",
    "numbers",
    "pages_router",
    "post_once",
    "refusal_of",
    "sign_in",
]
