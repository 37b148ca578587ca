"""The client of functions that are given none."""

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

# It brings an HTTP library, which a service has no need of.
if TYPE_CHECKING:
    from waybill.client import AsyncClient, Client

#: What `default_client` has been given, the latest last; an `AsyncClient` with its event loop.
_given: Final[list[tuple[Any, asyncio.AbstractEventLoop | None]]] = []
_lock = threading.Lock()
#: The client of the environment; it is made when it is first asked for.
_from_environment: "Client | None" = None


@contextmanager
def default_client(client: "Client | AsyncClient") -> Iterator[None]:
    """Lets handler tasks be submitted by a client, in all threads of this process, within the block.

        with Client("http://127.0.0.1:8000") as client, default_client(client):
            remind.submit("ann@example.com")

    `submit` uses the latest `Client`, `asubmit` the latest `AsyncClient` of its event loop. Without one they
    use the gateway that the variables WAYBILL_URL and WAYBILL_API_KEY name.

    Args:
        client: a `Client` or `AsyncClient` that is open for as long.
    """
    from waybill.client import AsyncClient  # noqa: PLC0415 - see above

    entry = (client, asyncio.get_running_loop() if isinstance(client, AsyncClient) else None)
    with _lock:
        _given.append(entry)
    try:
        yield
    finally:
        with _lock:
            _given.remove(entry)


def given_client(kind: type[Any], loop: asyncio.AbstractEventLoop | None = None) -> Any:
    """The latest default client of a class and an event loop; None: there is none."""
    with _lock:
        return next((each for each, of in reversed(_given) if isinstance(each, kind) and of is loop), None)


def sync_client() -> "Client":
    """The default client that blocks.

    Raises:
        ValueError: there is none, and the environment names no gateway.
    """
    from waybill.client import Client  # noqa: PLC0415 - see above

    client: Client = given_client(Client) or _client_of_environment(Client)
    return client


@asynccontextmanager
async def async_client() -> AsyncIterator["AsyncClient"]:
    """The default client of the running event loop; one for the block, if there is none.

    Raises:
        ValueError: there is none, and the environment names no gateway.
    """
    from waybill.client import AsyncClient  # noqa: PLC0415 - see above

    if client := given_client(AsyncClient, asyncio.get_running_loop()):
        yield client
    else:
        # Its connections belong to this event loop, of which nobody says when it ends.
        async with AsyncClient() as client:
            yield client


def _client_of_environment(made: "type[Client]") -> "Client":
    global _from_environment  # noqa: PLW0603 - one for the process, as long as it lives
    with _lock:
        if _from_environment is None:
            _from_environment = made()
            atexit.register(_from_environment.close)
        return _from_environment


def _forget() -> None:
    """In a forked process: the connections are those of its parent, and a thread of it may hold the lock."""
    global _from_environment, _lock
    _from_environment, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
