"""The functions themselves: no broker, no gateway."""

from pathlib import Path

import pytest
from waybill import PermanentError
from waybill.testing import run_handler

from teashop.tasks import close_month, confirm, service

MANIFEST = Path(__file__).parents[1] / "manifest.json"


async def test_an_order_is_confirmed_by_mail() -> None:
    run = await run_handler(service, confirm.event("17", "ann@example.com"))

    (mail,) = run.spawned
    assert mail.event.event_data()["to"] == "ann@example.com"
    assert run.result == {"mail": mail.id}


def test_a_month_is_closed() -> None:
    assert close_month.local("2026-01") == {"closed": "2026-01"}
    with pytest.raises(PermanentError, match="May is no month"):
        close_month.local("May")


def test_the_manifest_is_that_of_the_code() -> None:
    assert MANIFEST.read_text() == service.manifest().text()
