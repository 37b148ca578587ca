"""A relay with short leases, which stops at a point. Arguments: see `main`."""

import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

from tests.crash.outbox.holding import hold
from waybill.outbox.relay import LeaseLimits, RunningRelay
from waybill.outbox.relay.leases import Leases
from waybill.outbox.relay.poster import Poster

LEASED = "leased"
POSTING = "posting"
ACCEPTED = "accepted"
#: How long the rows of a killed relay are left alone.
LEASE = timedelta(seconds=2)


def main(database_url: str, gateway_url: str, point: str, reached: str) -> None:
    """Relays; stops after a lease, says that it posts, or stops before it deletes accepted rows."""
    _install(point, Path(reached))
    relay = RunningRelay(database_url, gateway=gateway_url, limits=LeaseLimits(lease=LEASE))
    signal.signal(signal.SIGTERM, lambda *_: relay.stop())
    relay.relay()


def _install(point: str, reached: Path) -> None:
    take, post, delete = Leases.take, Poster.post, Leases.delete

    @wraps(take)
    def taken(leases: Leases, most: int) -> Any:
        lease = take(leases, most)
        if lease.rows:
            hold(reached)
        return lease

    @wraps(post)
    def posted(poster: Poster, rows: Any) -> Any:
        reached.touch()
        return post(poster, rows)

    @wraps(delete)
    def deleted(_leases: Leases, _rows: Any) -> None:
        hold(reached)

    wrapped: dict[str, tuple[type, str, Callable[..., Any]]] = {
        LEASED: (Leases, "take", taken),
        POSTING: (Poster, "post", posted),
        ACCEPTED: (Leases, "delete", deleted),
    }
    if point in wrapped:
        owner, name, function = wrapped[point]
        setattr(owner, name, function)


if __name__ == "__main__":
    main(*sys.argv[1:])
