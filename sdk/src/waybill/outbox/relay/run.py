"""Running a relay: in a thread of an application, or as the only work of a process."""

import os
from asyncio import to_thread
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

from waybill.outbox.relay.database import open_database, parse_database
from waybill.outbox.relay.gateway_poster import GatewayPoster
from waybill.outbox.relay.health import RelayHealth
from waybill.outbox.relay.leases import LeaseLimits, Leases
from waybill.outbox.relay.relay import Relay
from waybill.outbox.relay.wakers import waker_of

#: Seconds that the end of a block waits for a post that is under way.
_STOP_SECONDS: Final = 30.0


def run(database: str, *, gateway: str | None = None, api_key: str | None = None) -> "RunningRelay":
    """A relay in a thread, for the time of a block.

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            async with outbox.run(DATABASE_URL):
                yield

    Each process of an application may run one: rows are leased, and posted by one of them at a time.

    Args:
        database: URL of the application's database, with whatever driver: the relay has its own.
        gateway: URL of the gateway; None: WAYBILL_URL.
        api_key: with the scope `submit`; None: WAYBILL_API_KEY.

    Raises:
        OutboxError: the URL is none, or of a database that the outbox is not made for.
    """
    return RunningRelay(
        database, gateway or os.environ["WAYBILL_URL"], api_key or os.environ.get("WAYBILL_API_KEY")
    )


class RunningRelay:
    """A relay that runs for the time of a `with` or `async with` block: see `run`."""

    def __init__(self, database: str, gateway: str, api_key: str | None) -> None:
        url = parse_database(database)
        self.health = RelayHealth()
        self._engine = open_database(url)
        self._poster = GatewayPoster(gateway, api_key)
        self._waker = waker_of(self._engine, url)
        self._stop = Event()
        self._thread: Thread | None = None

    def relay(self, limits: LeaseLimits | None = None) -> None:
        """Relays in this thread until `stop` is called."""
        try:
            Relay(Leases(self._engine, limits or LeaseLimits()), self._poster, self._waker, self.health).run(
                self._stop
            )
        finally:
            self._waker.close()
            self._poster.close()
            self._engine.dispose()

    def start(self) -> None:
        """Starts the thread."""
        self._thread = Thread(target=self.relay, name="waybill-outbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Has it end after the post that is under way; rows that are left are posted by the next relay."""
        self._stop.set()

    def join(self) -> None:
        """Waits until the thread has ended."""
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.join()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        await to_thread(self.join)
