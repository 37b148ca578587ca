"""What tests of a service need: a handler run without I/O, and a service on a real broker and ledger.

    async def test_an_invoice_is_rendered() -> None:
        run = await run_handler(service, InvoiceRequested(order_id="17", email="ann@example.com"))
        assert run.result["order"] == "17"

With `pytest_plugins = ["waybill.testing.plugin"]` in conftest.py, the fixture `waybill_stack` gives a
`Stack`; it needs `pip install waybill[testing]`.
"""

from typing import TYPE_CHECKING, Any

from waybill.testing.handler_run import HandlerRun, Progress, Spawned, run_handler

if TYPE_CHECKING:
    from waybill.testing.stack import Stack

__all__ = ["HandlerRun", "Progress", "Spawned", "Stack", "run_handler"]


def __getattr__(name: str) -> Any:
    if name != "Stack":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Only where it is asked for: the extra `testing` need not be installed to run a handler.
    from waybill.testing.stack import Stack  # noqa: PLC0415

    return Stack
