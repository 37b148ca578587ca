"""A relay with short leases, which stops at a point. Arguments: see `main`."""

import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import httpx

from tests.crash.outbox.holding import hold
from waybill.outbox.relay import LeaseLimits, RunningRelay
from waybill.outbox.relay.leases import Leases
from waybill.outbox.relay.poster import Poster

LEASED = "leased"
POSTING = "posting"
TRIED = "tried"
ACCEPTED = "accepted"
#: What httpcore says when all of a request is in the hands of the system.
_SENT = "http11.send_request_body.complete"
#: How long the rows of a killed relay are left alone.
LEASE = timedelta(seconds=2)


def main(database_url: str, gateway_url: str, point: str, reached: str) -> None:
    """Relays; stops after a lease or before a deletion, or says that a post was sent or tried."""
    _install(point, Path(reached))
    relay = RunningRelay(database_url, gateway=gateway_url, limits=LeaseLimits(lease=LEASE))
    signal.signal(signal.SIGTERM, lambda *_: relay.stop())
    relay.relay()


def tries(reached: Path) -> int:
    """How many posts a relay at `TRIED` has made, whatever the answer was."""
    return len(reached.read_bytes()) if reached.exists() else 0


def _install(point: str, reached: Path) -> None:
    take, send, post = Leases.take, httpx.HTTPTransport.handle_request, Poster.post

    @wraps(take)
    def taken(leases: Leases, most: int) -> Any:
        lease = take(leases, most)
        if lease.rows:
            hold(reached)
        return lease

    @wraps(send)
    def sent(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        request.extensions["trace"] = lambda step, _details: reached.touch() if step == _SENT else None
        return send(transport, request)

    @wraps(post)
    def tried(poster: Poster, rows: Any) -> Any:
        outcome = post(poster, rows)
        with reached.open("ab") as file:
            file.write(b".")
        return outcome

    @wraps(Leases.delete)
    def deleted(_leases: Leases, _rows: Any) -> None:
        hold(reached)

    wrapped: dict[str, tuple[type, str, Callable[..., Any]]] = {
        LEASED: (Leases, "take", taken),
        POSTING: (httpx.HTTPTransport, "handle_request", sent),
        TRIED: (Poster, "post", tried),
        ACCEPTED: (Leases, "delete", deleted),
    }
    if point in wrapped:
        owner, name, function = wrapped[point]
        setattr(owner, name, function)


if __name__ == "__main__":
    main(*sys.argv[1:])
