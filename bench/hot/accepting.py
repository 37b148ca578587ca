"""Processor time of an accepted task by route and by size of the registry: `python -m bench.hot.accepting`.

Two gateways on ledgers of their own: one knows the built-in kinds, the other 1,000 kinds of 200 services
beside. In turn each is posted the same mails by the route of mails and by the route of all kinds, one at a
time and 100 together, so that a slow machine affects all alike. The status service of the larger one has
declared all their queues.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from bench.kit.installation import Installation, until
from bench.kit.load import Load, Target
from bench.kit.place import Place
from bench.kit.programs import start, stop
from waybill_contracts.registry import HandledKind, Manifest
from waybill_database import open_engine
from waybill_ledger.registry import ApplyManifest, apply_manifests
from waybill_testkit.broker import Broker, private_broker

SERVICES: Final = 200
KINDS: Final = 1_000
ROUNDS: Final = 9
SECONDS: Final = 4.0
CONNECTIONS: Final = 16
#: Tasks of a bulk; bulks under way at once; and the part of a round in which they are posted. With more of
#: them tasks would wait for their publish until the status service takes it over from the gateway.
BULK: Final = 100
BULKS: Final = 4
BULK_ROUND: Final = 0.25
#: Largest ratio to the route of mails with the built-in kinds alone.
TARGET: Final = 1.03
#: Data of a kind of an outside team, with what schemas of data classes have.
_SCHEMA: Final = {
    "type": "object",
    "required": ["order_id"],
    "additionalProperties": False,
    "properties": {
        "order_id": {"type": "string", "maxLength": 64},
        "email": {"type": "string", "maxLength": 254, "sensitive": True, "person": True},
        "lines": {"type": "array", "items": {"type": "object"}, "maxItems": 100},
    },
}
_MAIL: Final = {"to": "ann@example.test", "subject": "Your order", "text": "It is on its way.\n" * 8}


def _by_mail(number: int) -> bytes:
    return json.dumps(_MAIL | {"category": f"order-{number}"}).encode()


def _by_kind(number: int) -> bytes:
    data = _MAIL | {"category": f"order-{number}"}
    return json.dumps({"kind": "email.requested", "data": data}).encode()


def _together(number: int) -> bytes:
    tasks = b", ".join(_by_kind(BULK * number + each) for each in range(BULK))
    return b'{"tasks": [%s]}' % tasks


#: Each with the number of tasks in a post.
ROUTES: Final = (
    (Target("/v1/emails", _by_mail), 1),
    (Target("/v1/tasks", _by_kind), 1),
    (Target("/v1/tasks/bulk", _together), BULK),
)


def main() -> int:
    """Runs the command line; 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.hot.accepting", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each route (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a round (default: %(default)s)")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="waybill-accepting-")))
        broker = stack.enter_context(private_broker(folder / "broker"))
        small = _Gateway(stack, broker, folder / "small", services=0)
        large = _Gateway(stack, broker, folder / "large", services=SERVICES)
        spent: dict[tuple[str, str], list[float]] = {}
        for number in range(arguments.rounds):
            rounds = [(each, *route) for route in ROUTES for each in (small, large)]
            # The first of a round has the same advantage or disadvantage as often.
            for gateway, target, tasks in rounds if number % 2 else reversed(rounds):
                took = gateway.microseconds(target, tasks, arguments.seconds)
                spent.setdefault((target.route, gateway.name), []).append(took)
            print(f"round {number + 1} of {arguments.rounds}; load {os.getloadavg()[0]:.1f}", flush=True)
    return _shown(spent)


class _Gateway:
    """A gateway, its status service and a ledger, with so many services registered."""

    def __init__(self, stack: ExitStack, broker: Broker, folder: Path, *, services: int) -> None:
        self.name = f"{services} more services" if services else "built-in services"
        amqp_url = broker.vhost_url(stack.enter_context(broker.vhost()))
        self._place = Place.fresh(folder, amqp_url=amqp_url, redis_url="")
        ledger_url = f"sqlite:///{folder}/ledger.db"
        installation = Installation(self._place, ledger_url, f"sqlite:///{folder}/inbox.db")
        stack.callback(installation.close)
        self._installation = installation
        installation.make_ledger()
        if services:
            _register(ledger_url, services)
        begun = time.monotonic()
        running = start([installation.status(), installation.gateway()], folder)
        stack.callback(stop, running)
        undeclared = "SELECT count(*) FROM routes WHERE declared_at IS NULL"
        until(lambda: installation.count(undeclared) == 0, what="the queues of all services are declared")
        if services:
            print(
                f"{services} services declared {time.monotonic() - begun:.1f} s after the start", flush=True
            )
        self._gateway = next(each for each in running if each.program.role == "gateway")
        self._numbers = count()

    def microseconds(self, target: Target, tasks: int, seconds: float) -> float:
        """Processor time of the gateway for each task that it accepts and publishes, `tasks` in a post."""
        load = Load(self._place.api_port, self._place.stamps, self._numbers, target)
        before = self._gateway.cpu_seconds()
        posted = uvloop.run(
            load.closed(CONNECTIONS, seconds) if tasks == 1 else load.closed(BULKS, seconds * BULK_ROUND)
        )
        if posted.failures:
            raise SystemExit(posted.failures[0])
        until(lambda: not self._installation.count("SELECT count(*) FROM outbox"), what="all are published")
        return 1e6 * (self._gateway.cpu_seconds() - before) / (tasks * len(posted.accepted))


def _register(ledger_url: str, services: int) -> None:
    engine = open_engine(ledger_url, connections=1)
    now = datetime.now(UTC)
    with engine.begin() as connection:
        for number in range(services):
            handles = tuple(
                HandledKind(kind=f"team-{number}.work.{each}", reads=(1,), data=_SCHEMA)
                for each in range(KINDS // services)
            )
            manifest = Manifest(service=f"team-{number}", release="1", handles=handles)
            apply_manifests(connection, [ApplyManifest(manifest, now, "bench")])
    engine.dispose()


def _shown(spent: dict[tuple[str, str], list[float]]) -> int:
    first = next(iter(spent.values()))
    reference = spent["/v1/emails", "built-in services"]
    print(f"\n| {len(first)} rounds | us of the gateway a task | ratio, median |\n|---|---:|---:|")
    worst = 0.0
    for (route, gateway), rounds in spent.items():
        ratio = median(one / other for one, other in zip(rounds, reference, strict=True))
        worst = max(worst, ratio)
        print(f"| {route}, {gateway} | {median(rounds):.0f} | {ratio:.3f} |")
    return 1 if worst > TARGET else 0


if __name__ == "__main__":
    sys.exit(main())
