"""What takes the place of the network, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

#: The latest last, with the URL of clients that name none.
_replaced: Final[list[tuple[httpx.MockTransport, str]]] = []


@contextmanager
def using_transport(transport: httpx.MockTransport, url: str) -> Iterator[None]:
    """Has clients that are made within the block use a transport instead of the network.

        transport = httpx.MockTransport(lambda request: httpx.Response(503))
        with using_transport(transport, "http://nowhere"), Client(deadline=0) as away:
            try:
                away.submit(event)
            except ClientError as error:
                assert error.is_temporary

    Args:
        transport: answers their requests.
        url: of clients that name no gateway.
    """
    entry = transport, url
    _replaced.append(entry)
    try:
        yield
    finally:
        _replaced.remove(entry)


def replaced() -> tuple[httpx.MockTransport | None, str | None]:
    """What takes the place of the network now, and the URL that goes with it."""
    return _replaced[-1] if _replaced else (None, None)
