"""The calls of `Client` about kinds and the account, and any other call."""

from collections.abc import Iterator, Mapping
from typing import Any

from waybill import calls
from waybill.answers import Account, Kind, KindDetails, Stats
from waybill.calls import Paging
from waybill.client.sync_sending import SyncSending


class RegistryCalls:
    """Calls about kinds and the account, and any other call: a part of `Client`."""

    def __init__(self, sending: SyncSending) -> None:
        self._sending = sending
        self._run = sending.run

    def kinds(self, *, service: str | None = None) -> Iterator[Kind]:
        """The kinds of tasks that are registered.

            print([kind.name for kind in client.kinds()])

        With a service, only those that it handles.
        """
        paging = Paging[Kind](None)
        while paging.wanted:
            yield from paging.items(self._run(calls.registry.kinds(service, paging.wanted, paging.cursor)))

    def kind(self, name: str) -> KindDetails:
        """A kind with its contracts and handlers.

            schema = client.kind("email.requested").contracts[-1].data

        Raises:
            NoSuchKindError: there is none of this name.
        """
        return self._run(calls.registry.kind(name))

    def account(self, since: Any = None, until: Any = None) -> Account:
        """The account of all tasks that were accepted in a time range.

            assert client.account().balanced

        The times have a zone; None: from the first task, until now.
        """
        return self._run(calls.registry.account(since, until))

    def stats(self, within: str = "1h", *, kind: str | None = None, service: str | None = None) -> Stats:
        """What happened in a time that ends now, what is open, and what needs a person.

            stats = client.stats()
            print(stats.total.completed / stats.seconds, "a second;", [each.title for each in stats.findings])

        Args:
            within: `1h`, `1d`, `7d`, `30d` or `90d`.
            kind: only tasks of this kind are counted.
            service: only what this service did is counted.
        """
        return self._run(calls.registry.stats(within, kind, service))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Any:
        """Any call that takes JSON and answers with it, such as those of the failure desk.

            groups = client.call("GET", "/v1/dead-letters/groups", params={"limit": 1})["items"]

        Args:
            method: of HTTP.
            path: with its parts quoted.
            body: a document; None: none is sent.
            params: of the query; those that are None are left out.
            key: idempotency key. Without one, only a GET is repeated after an answer that was lost.

        Returns:
            The document of the answer; None if it is empty.
        """
        return self._run(calls.registry.any_call(method, path, params, body, key))

    def lines(self, path: str, *, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """The documents of an answer of JSON lines, such as an export of the failure desk, as they arrive.

            for letter in client.lines("/v1/dead-letters/export", params={"service": "invoices"}):
                print(letter["id"])

        A stream that breaks off is not begun again.
        """
        return self._sending.lines(calls.registry.streamed(path, params))
