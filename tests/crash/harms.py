"""What is done to processes that stand at a boundary, before they may go on."""

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from time import sleep
from urllib.parse import quote

import httpx

from tests.crash.rows import Harm
from tests.crash.stack import CrashStack, Process, until

#: Longer than a lease (3 s) and than any write waits for a lock (1 s, see `tests.crash.gates.steps`).
LOCKED_SECONDS = 4.0
#: How many connections a process has: the gateway only publishes.
CONNECTIONS = {"gateway": 1}
PUBLISH_AND_CONSUME = 2

Places = Sequence[tuple[CrashStack, Process]]


def do_harm(harm: Harm, places: Places, seconds_away: float) -> None:
    """Harms each process, or what it stands on, and opens its gate; killed ones are away for so long."""
    match harm:
        case Harm.KILL:
            _kill(places, seconds_away)
        case Harm.CUT:
            _cut(places)
        case Harm.BROKER:
            _restart_broker(places)
        case Harm.LOCK:
            _lock(places)


def _kill(places: Places, seconds_away: float) -> None:
    for _, process in places:
        process.kill()
        process.gate.open()
    sleep(seconds_away)
    for _, process in places:
        process.start()
    for _, process in places:
        process.wait_ready()


def _cut(places: Places) -> None:
    for stack, process in places:
        _close_connections(stack, process)
        process.gate.open()


def _close_connections(stack: CrashStack, process: Process) -> None:
    vhost = quote(stack.vhost, safe="")
    closed: set[str] = set()
    with httpx.Client(
        base_url=stack.broker.management_url or "", auth=("guest", "guest"), timeout=10, trust_env=False
    ) as api:

        def all_closed() -> bool:
            # The API learns of a connection within a second.
            for connection in api.get(f"/api/vhosts/{vhost}/connections").raise_for_status().json():
                role = connection.get("user_provided_name", "")
                if role.split(" ")[0] == process.name:
                    api.delete(f"/api/connections/{quote(connection['name'], safe='')}")
                    closed.add(role)
            return len(closed) == CONNECTIONS.get(process.name, PUBLISH_AND_CONSUME)

        until(all_closed, f"the connections of {process.name} to be seen and closed")


def _restart_broker(places: Places) -> None:
    broker = places[0][0].broker
    broker.stop()
    # They go on while there is no broker.
    for _, process in places:
        process.gate.open()
    broker.start()


def _lock(places: Places) -> None:
    with ExitStack() as locks:
        for _, process in places:
            lock = sqlite3.connect(process.database or "", timeout=30, isolation_level=None)
            locks.enter_context(closing(lock))
            lock.execute("BEGIN IMMEDIATE")
        for _, process in places:
            process.gate.open()
        sleep(LOCKED_SECONDS)
