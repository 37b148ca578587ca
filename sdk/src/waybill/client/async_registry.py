"""The calls of `AsyncClient` about kinds and the account, and any other call."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from waybill import calls
from waybill.answers import Account, Kind, KindDetails, Stats
from waybill.calls import Paging
from waybill.client.async_sending import AsyncSending


class AsyncRegistryCalls:
    """Calls about kinds and the account, and any other call: a part of `AsyncClient`."""

    def __init__(self, sending: AsyncSending) -> None:
        self._sending = sending
        self._run = sending.run

    async def kinds(self, *, service: str | None = None) -> AsyncIterator[Kind]:
        """The kinds of tasks that are registered.

            print([kind.name async for kind in client.kinds()])

        See `Client.kinds`.
        """
        paging = Paging[Kind](None)
        while paging.wanted:
            page = await self._run(calls.registry.kinds(service, paging.wanted, paging.cursor))
            for kind in paging.items(page):
                yield kind

    async def kind(self, name: str) -> KindDetails:
        """A kind with its contracts and handlers.

            schema = (await client.kind("email.requested")).contracts[-1].data

        See `Client.kind`.
        """
        return await self._run(calls.registry.kind(name))

    async def account(self, since: Any = None, until: Any = None) -> Account:
        """The account of all tasks that were accepted in a time range.

            assert (await client.account()).balanced

        See `Client.account`.
        """
        return await self._run(calls.registry.account(since, until))

    async def stats(
        self, within: str = "1h", *, kind: str | None = None, service: str | None = None
    ) -> Stats:
        """What happened in a time that ends now, what is open, and what needs a person.

            stats = await client.stats("1d", kind="email.requested")

        See `Client.stats`.
        """
        return await self._run(calls.registry.stats(within, kind, service))

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Any:
        """Any call that takes JSON and answers with it, such as those of the failure desk.

            groups = (await client.call("GET", "/v1/dead-letters/groups", params={"limit": 1}))["items"]

        See `Client.call`.
        """
        return await self._run(calls.registry.any_call(method, path, params, body, key))

    def lines(self, path: str, *, params: Mapping[str, Any] | None = None) -> AsyncIterator[Any]:
        """The documents of an answer of JSON lines, as they arrive.

            async for letter in client.lines("/v1/dead-letters/export"):
                print(letter["id"])

        See `Client.lines`.
        """
        return self._sending.lines(calls.registry.streamed(path, params))
