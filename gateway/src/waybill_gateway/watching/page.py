"""The page of a link, which needs no script, and the script for pages of applications."""

from functools import cache
from html import escape
from pathlib import Path
from typing import Final

from waybill_contracts.states import State
from waybill_gateway.http import Problem
from waybill_gateway.watching.models import LinkView

#: Seconds for which the next page waits for the end of the task, while the browser shows this one.
PAGE_WAIT_SECONDS: Final = 5
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}
_SCRIPT: Final = Path(__file__).parent / "static" / "watch.js"
_WORDS: Final = {
    State.SCHEDULED: "Scheduled",
    State.PENDING: "Waiting",
    State.RUNNING: "Running",
    State.RETRYING: "Waiting for another try",
    State.COMPLETED: "Done",
    State.FAILED: "Failed",
    State.CANCELLED: "Cancelled",
}
#: The browser asks for the next page after so many seconds, and goes on to show this one until it has it.
_AGAIN: Final = f'<meta http-equiv="refresh" content="{{pause}}; url=?wait={PAGE_WAIT_SECONDS}">\n'
#: Seconds between two pages, and where too many look for each to wait for the next state.
_PAUSE, _LONG_PAUSE = 1, 10
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
{again}<title>{words}</title>
<style>body {{ font: 1.1rem/1.5 system-ui, sans-serif; margin: 4rem auto; max-width: 30rem; padding: 0 1rem }}
progress {{ width: 100% }}</style>
<h1 role="status" data-state="{state}">{words}</h1>
{progress}</html>
"""


def page_of(view: LinkView, *, is_crowded: bool = False) -> str:
    """The page that shows a task.

    Args:
        view: of the task.
        is_crowded: whether too many look at it for each to wait for its next state.
    """
    again = "" if view.state.is_terminal else _AGAIN.format(pause=_LONG_PAUSE if is_crowded else _PAUSE)
    return _PAGE.format(again=again, words=_WORDS[view.state], state=view.state, progress=_progress(view))


def page_of_problem(problem: Problem) -> str:
    """The page that says why a link shows nothing; it is asked for again where that may help."""
    passes = "Retry-After" in (problem.headers or {})
    again = _AGAIN.format(pause=_LONG_PAUSE) if passes else ""
    words = "Not just now" if passes else "Nothing to see here"
    detail = f"<p>{escape(str(problem.detail))}</p>\n"
    return _PAGE.format(again=again, words=words, state="unknown", progress=detail)


@cache
def script() -> bytes:
    """The script, a module without dependencies."""
    return _SCRIPT.read_bytes()


def _progress(view: LinkView) -> str:
    if view.progress is None:
        return ""
    share = "" if view.progress.share is None else f' value="{view.progress.share:g}"'
    return f"<progress{share}></progress>\n<p>{escape(view.progress.text)}</p>\n"
