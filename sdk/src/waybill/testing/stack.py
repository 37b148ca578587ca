"""Runs a service on a real broker and a real ledger."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from waybill.definition import Service
from waybill_contracts.events import Event
from waybill_testkit.core import Core
from waybill_testkit.eventually import eventually

#: Seconds that a task may take to end, and a registration to be declared at the broker: enough for a machine
#: that has much else to do, for nobody waits longer than it takes.
ENDED_SECONDS: Final = 120.0
DECLARED_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.05
#: Of a task to which nothing more happens.
_ENDS: Final = frozenset({"completed", "failed", "cancelled"})
#: Short waits, so that a retry is seen within seconds.
_SHORT: Final = {
    "retry_base_seconds": 1,
    "retry_cap_seconds": 1,
    "retry_snooze_base_seconds": 1,
    "grace_seconds": 2,
}


class Stack:
    """A broker, a ledger, a gateway and a status service, which run.

        async def test_a_task_is_done(waybill_stack: Stack) -> None:
            async with waybill_stack.running(service):
                task = await waybill_stack.submit(InvoiceRequested(order_id="17", email="ann@example.com"))
                assert (await waybill_stack.ended(task))["state"] == "completed"

    Attributes:
        url: of the gateway.
        amqp_url: of the broker, with its virtual host.
        folder: has the logs of gateway and status service.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.url = core.url
        self.amqp_url = core.amqp_url
        self.folder: Path = core.folder

    @asynccontextmanager
    async def running(self, service: Service[Any], **settings: Any) -> AsyncIterator[None]:
        """Registers a service, and runs it in this process for the time of the block.

            async with waybill_stack.running(service, retry_max_attempts=2):
                await waybill_stack.ended(await waybill_stack.submit(event))

        Args:
            service: the service.
            settings: fields of its settings, such as `retry_max_attempts=2`; waits are short by default.
        """
        await self.register(service)
        with TemporaryDirectory(prefix="waybill-inbox-") as folder:
            values = {
                "amqp_url": self.amqp_url,
                "inbox_url": f"sqlite:///{folder}/inbox.db",
                "sealing_keys": self._core.sealing_key,
                "object_store_url": self._core.object_store_url,
                **_SHORT,
                **settings,
            }
            process = service.process(service.settings(**values))
            try:
                await process.start()
                yield
            finally:
                await process.stop()

    async def register(self, service: Service[Any]) -> None:
        """Registers a service, or a new release of it, and waits until its queue exists.

            await waybill_stack.register(service)

        Raises:
            RuntimeError: it is refused; the text has each reason.
        """
        manifest = service.manifest()
        path = f"/v1/services/{manifest.service}"
        stated = manifest.model_dump(mode="json")
        answer = await self.call("PUT", path, json=stated)
        if answer.is_error:
            raise RuntimeError(f"{manifest.service} is not registered: {answer.text}")
        await eventually(lambda: self._is_declared(path), DECLARED_SECONDS, every=POLL_SECONDS)

    async def submit(self, event: Event, **options: Any) -> str:
        """Submits a task, and returns its id.

            task = await waybill_stack.submit(event, delay_seconds=60)

        Args:
            event: its event.
            options: further fields of `POST /v1/tasks`, such as `delay_seconds=5`.

        Raises:
            RuntimeError: the gateway refuses it.
        """
        data = event.model_dump(mode="json", exclude_defaults=True)
        answer = await self.call("POST", "/v1/tasks", json={"kind": event.KIND, "data": data, **options})
        if answer.is_error:
            raise RuntimeError(f"the gateway refuses {event.KIND}: {answer.text}")
        task_id: str = answer.json()["id"]
        return task_id

    async def ended(self, task_id: str, *, seconds: float = ENDED_SECONDS) -> dict[str, Any]:
        """Waits until a task has ended, and returns it as `GET /v1/tasks/{id}` does.

            task = await waybill_stack.ended(await waybill_stack.submit(event))
            assert task["state"] == "completed"

        Raises:
            AssertionError: it has not ended in time.
        """

        async def once() -> dict[str, Any] | None:
            task = await self.get(f"/v1/tasks/{task_id}")
            return task if task["state"] in _ENDS else None

        return await eventually(once, seconds, every=POLL_SECONDS)

    async def get(self, path: str) -> dict[str, Any]:
        """The document at a path of the gateway.

            assert (await waybill_stack.get("/v1/services/invoices"))["declared"]

        Raises:
            HTTPStatusError: there is none.
        """
        answer = await self.call("GET", path)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    async def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Calls the gateway; `request` as httpx takes it.

        answer = await waybill_stack.call("GET", "/v1/accounting")
        assert answer.json()["balanced"]
        """
        # By HTTP on loopback: to read the system's certificates each time takes longer than the call.
        async with httpx.AsyncClient(
            base_url=self.url,
            timeout=30,
            trust_env=False,
            verify=False,  # noqa: S501 - as said
        ) as client:
            return await client.request(method, path, **request)

    async def _is_declared(self, path: str) -> bool:
        return bool((await self.get(path))["declared"])
