"""Running a relay: in a thread of an application, or as the only work of a process."""

from asyncio import to_thread
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from waybill.client import ApiKey, Client
from waybill.outbox.relay.database import open_database, parse_database
from waybill.outbox.relay.health import RelayHealth
from waybill.outbox.relay.inspection import Inspection
from waybill.outbox.relay.leases import LeaseLimits, Leases
from waybill.outbox.relay.poster import Poster
from waybill.outbox.relay.relay import Relay
from waybill.outbox.relay.wakers import waker_of
from waybill.outbox.rows import OutboxError

if TYPE_CHECKING:
    from waybill.outbox.relay.metrics import RelayCollector

#: Seconds that the end of a block waits for a post that is under way.
_STOP_SECONDS: Final = 30.0
#: As an installation keeps idempotency keys by default, and what clocks may differ by.
KEYS_KEPT_DAYS: Final = 30
_MARGIN: Final = timedelta(days=1)
#: Seconds of one post; half of a lease, so that it ends before the lease does.
_POST_SECONDS: Final = 25.0


def run(
    database: str,
    *,
    gateway: str | None = None,
    api_key: ApiKey | None = None,
    ca_file: str | Path | None = None,
    keys_kept_days: int = KEYS_KEPT_DAYS,
) -> "RunningRelay":
    """A relay in a thread, for the time of a block.

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            async with outbox.run(DATABASE_URL):
                yield

    Each process of an application may run one: rows are leased, and posted by one of them at a time.

    Args:
        database: URL of the application's database, with whatever driver: the relay has its own.
        gateway: URL of the gateway; None: the variable WAYBILL_URL.
        api_key: as `Client` takes it, with the scope `submit`; None: the variable WAYBILL_API_KEY.
        ca_file: PEM file of the authorities that are trusted for https, instead of the usual ones.
        keys_kept_days: how long the installation keeps idempotency keys (WAYBILL_KEEP_KEYS_DAYS of its status
            service); 0: for ever. A post without an answer is not repeated after that.

    Raises:
        OutboxError: the URL is none, or of a database that the outbox is not made for.
        ValueError: no gateway is named.
    """
    limits = limits_for(keys_kept_days)
    return RunningRelay(database, gateway=gateway, api_key=api_key, ca_file=ca_file, limits=limits)


def limits_for(keys_kept_days: int) -> LeaseLimits:
    """The limits where keys are kept so long; 0: for ever.

    Raises:
        OutboxError: they are not even kept for two days.
    """
    if keys_kept_days == 1 or keys_kept_days < 0:
        raise OutboxError("keys_kept_days is 0, for ever, or at least 2")
    known = timedelta(days=keys_kept_days) - _MARGIN if keys_kept_days else timedelta.max
    return LeaseLimits(repeats_known=known)


@contextmanager
def open_inspection(database: str) -> Iterator[Inspection]:
    """A look into the outbox in a database, for the time of the block.

    Raises:
        OutboxError: the URL is none, or of a database that the outbox is not made for; there is no such file.
    """
    url = parse_database(database)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        raise OutboxError(f"there is no such file: {url.database}")
    engine = open_database(url)
    try:
        yield Inspection(engine)
    finally:
        engine.dispose()


class RunningRelay:
    """A relay that runs for the time of a `with` or `async with` block: see `run`.

    relay = outbox.run(DATABASE_URL)
    relay.start()
    ...
    relay.stop()
    relay.join()
    """

    def __init__(
        self,
        database: str,
        *,
        gateway: str | None = None,
        api_key: ApiKey | None = None,
        ca_file: str | Path | None = None,
        limits: LeaseLimits = LeaseLimits(),  # noqa: B008 - it is frozen
    ) -> None:
        url = parse_database(database)
        client = Client(
            gateway, api_key=api_key, ca_file=ca_file, timeout=_POST_SECONDS, deadline=0, connections=1
        )
        self.health = RelayHealth()
        self._engine = open_database(url)
        self._poster = Poster(client)
        self._waker = waker_of(self._engine, url)
        self._leases = Leases(self._engine, limits)
        self._stop = Event()
        self._thread: Thread | None = None

    def relay(self) -> None:
        """Relays in this thread until `stop` is called."""
        try:
            Relay(self._leases, self._poster, self._waker, self.health).run(self._stop)
        finally:
            self._waker.close()
            self._poster.close()
            self._engine.dispose()

    def collector(self) -> "RelayCollector":
        """Its metrics, for a registry of prometheus_client, which has to be installed."""
        from waybill.outbox.relay.metrics import RelayCollector  # noqa: PLC0415 - as said

        return RelayCollector(self.health, Inspection(self._engine))

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
