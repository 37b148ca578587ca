"""What tests of applications and services need.

An application's unit tests record what it submits:

    with MemoryGateway().installed() as gateway:
        place_order("17", "ann@example.com")
    assert [task.kind for task in gateway.tasks] == ["order.placed"]

A service's tests run a handler without I/O, or the service on a real broker and ledger:

    async def test_an_invoice_is_rendered() -> None:
        run = await run_handler(service, InvoiceRequested(order_id="17", email="ann@example.com"))
        assert run.result["order"] == "17"

With `pytest_plugins = ["waybill.testing.plugin"]` in conftest.py, the fixture `waybill_memory` gives a
`MemoryGateway`, and `waybill_stack` a `Stack`, which needs `pip install waybill[testing]`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waybill.testing.handler_run import HandlerRun, Progress, Spawned, run_handler
    from waybill.testing.memory_gateway import MemoryGateway
    from waybill.testing.memory_tasks import MemoryTask
    from waybill.testing.stack import Stack

__all__ = [
    "HandlerRun",
    "MemoryGateway",
    "MemoryTask",
    "Progress",
    "Spawned",
    "Stack",
    "run_handler",
]

#: Each only where it is asked for: an application has neither what runs a handler nor a broker.
_MODULES = {
    "handler_run": ("HandlerRun", "Progress", "Spawned", "run_handler"),
    "memory_gateway": ("MemoryGateway",),
    "memory_tasks": ("MemoryTask",),
    "stack": ("Stack",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"waybill.testing.{_MODULE_OF[name]}"), name)
