"""Templates become answers: escaped, with the headers that keep foreign code out."""

import secrets
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from waybill_gateway.ui.frame import formats
from waybill_gateway.words import duration

_TEMPLATES: Final = Path(__file__).parents[1] / "templates"
_NONCE_BYTES: Final = 16
#: Where the navigation leads: words, path, and the operation that who looks must be allowed.
PLACES: Final = (
    ("Overview", "/ui", "get_stats"),
    ("Tasks", "/ui/tasks", "get_tasks"),
    ("Failures", "/ui/failures", "get_dead_letter_groups"),
    ("Redrives", "/ui/redrives", "get_redrives"),
    ("Kinds", "/ui/kinds", "get_kinds"),
    ("Services", "/ui/services", "get_services"),
    ("Schedules", "/ui/schedules", "get_schedules"),
    ("Queues", "/ui/queues", "get_stats"),
    ("Accounting", "/ui/accounting", "get_account"),
    ("Audit", "/ui/audit", "get_audit"),
    ("Keys", "/ui/keys", "get_keys"),
)


def rendered(template: str, status: int, context: dict[str, Any]) -> HTMLResponse:
    """A page.

    Args:
        template: its file in the folder of templates.
        status: of the answer.
        context: what the template shows.
    """
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    text = _environment().get_template(template).render(context, nonce=nonce)
    return HTMLResponse(text, status, headers=_headers(nonce))


def _headers(nonce: str) -> dict[str, str]:
    # Scripts and styles that this answer names, and nothing else; all else from this gateway alone.
    policy = (
        "default-src 'none'",
        f"script-src 'nonce-{nonce}'",
        f"style-src 'nonce-{nonce}'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        # What a key may see must not be seen after its end.
        "Cache-Control": "no-store",
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=formats.visible,
    )
    environment.globals["places"] = PLACES
    environment.filters |= {
        "duration": duration,
        "number": formats.number,
        "rate": formats.rate,
        "json_text": formats.json_text,
        "json_line": formats.json_line,
        "clipped": formats.clipped,
        "as_sent": formats.as_sent,
        "short_id": formats.short_id,
        "absolute": formats.absolute,
        "in_its_zone": formats.in_its_zone,
    }
    return environment
