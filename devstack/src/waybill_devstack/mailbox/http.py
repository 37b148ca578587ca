"""The mailbox's HTTP side: the mails as JSON and as a page, and the faults."""

import secrets

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader
from pydantic import TypeAdapter

from waybill_devstack.mailbox.faults import Fault, Faults
from waybill_devstack.mailbox.mails import Mail, Mails

#: A fault is some dozens of bytes.
MAX_BODY_BYTES = 16 * 1024
#: Mails on the page: more make it slow, and `GET /api/messages` has them all.
MAX_SHOWN = 100

_mail_list = TypeAdapter(list[Mail])


def create_app(mails: Mails, faults: Faults) -> FastAPI:
    """Build the HTTP application over the mails and faults that the SMTP side uses."""
    app = FastAPI(title="Waybill mailbox", docs_url=None, redoc_url=None, max_body_size=MAX_BODY_BYTES)
    page = Environment(loader=PackageLoader("waybill_devstack.mailbox", "."), autoescape=True).get_template(
        "page.html"
    )

    @app.get("/api/messages", response_model=list[Mail])
    async def list_messages() -> Response:
        # Straight to bytes: thousands of mails must not hold up the SMTP side, which shares this loop.
        return Response(_mail_list.dump_json(mails.all(), by_alias=True), media_type="application/json")

    @app.delete("/api/messages", status_code=204)
    async def delete_messages() -> None:
        mails.clear()

    @app.post("/api/faults")
    async def set_fault(fault: Fault) -> Fault:
        faults.set(fault)
        return faults.current

    @app.get("/", response_class=HTMLResponse)
    async def show_page() -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        shown = list(reversed(mails.all()[-MAX_SHOWN:]))
        html = page.render(mails=shown, total=len(mails), fault=faults.current, nonce=nonce)
        return HTMLResponse(
            html, headers={"Content-Security-Policy": _policy(nonce), "Cache-Control": "no-store"}
        )

    return app


def _policy(nonce: str) -> str:
    # The previews inherit it, so that a mail's pictures and scripts are never fetched.
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; connect-src 'self'; frame-src 'self'; "
        f"script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'"
    )
