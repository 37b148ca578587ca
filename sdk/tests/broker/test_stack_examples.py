"""The examples of docstrings that need a broker work as written."""

import inspect
from functools import partial
from typing import Any

import pytest
from docstring_examples import documented, example_in, executed
from invoice_service import InvoiceRequested, service

from waybill.testing import Stack
from waybill.testing.plugin import waybill_stack

__all__ = ["waybill_stack"]

ALL = {
    name: each
    for name, each in documented().items()
    if name.startswith(("waybill.testing.Stack", "waybill.testing.plugin.waybill_stack"))
}


def test_there_are_some() -> None:
    assert len(ALL) > 5


@pytest.mark.parametrize("name", ALL)
async def test_an_example_works(name: str, waybill_stack: Stack) -> None:
    given: dict[str, Any] = {
        "InvoiceRequested": partial(InvoiceRequested, currency="CHF"),
        "Stack": Stack,
        "event": InvoiceRequested(order_id="17", email="ann@example.com", currency="CHF"),
        "service": service,
        "waybill_stack": waybill_stack,
    }
    await waybill_stack.register(service)
    if name.endswith(".ended"):
        async with waybill_stack.running(service):
            await executed(example_in(ALL[name]) or "", name, given)
        return
    await executed(example_in(ALL[name]) or "", name, given)
    for test in [value for each, value in given.items() if each.startswith("test_")]:
        await test(**{each: given[each] for each in inspect.signature(test).parameters})
