"""Deals the blows of a plan to the stack."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from time import monotonic, sleep
from urllib.parse import quote

import httpx

from tests.soak.plan import Blow, Trouble
from tests.soak.stack import SoakStack

#: Seconds that a lock is waited for before it is held.
LOCK_SECONDS = 30


class Troublemaker:
    """Deals the blows of a plan in their order; one that takes long delays the following ones."""

    def __init__(self, stack: SoakStack, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._say = say
        #: How many of each were dealt.
        self.dealt: Counter[Trouble] = Counter()
        #: When the email service was killed: the only moments at which a mail may go out twice.
        self.email_kills: list[datetime] = []

    def deal(self, blows: Sequence[Blow], began: float) -> None:
        """Deals all of them, each not before its time after `began`, in the seconds of `monotonic`."""
        for blow in blows:
            sleep(max(0.0, began + blow.at - monotonic()))
            self._deal(blow)
            self.dealt[blow.trouble] += 1
            details = " ".join(str(part) for part in (blow.victim, blow.fault) if part)
            lasting = f" for {blow.seconds:.1f} s" if blow.seconds else ""
            self._say(f"{blow.trouble} {details}{lasting}")

    def heal(self) -> None:
        """Ends all faults of the outside world."""
        self._stack.crm.post("/faults", json={}).raise_for_status()
        self._stack.mailbox.post("/api/faults", json={"mode": "ok"}).raise_for_status()

    def _deal(self, blow: Blow) -> None:
        match blow.trouble:
            case Trouble.KILL:
                self._stack.kill(blow.victim)
                if blow.victim == "email":
                    self.email_kills.append(datetime.now(UTC))
            case Trouble.CUT:
                self._cut(blow.victim)
            case Trouble.LOCK:
                self._lock(blow)
            case Trouble.CRM:
                self._stack.crm.post("/faults", json=blow.fault).raise_for_status()
            case Trouble.MAILBOX:
                self._stack.mailbox.post("/api/faults", json=blow.fault).raise_for_status()
            case Trouble.BROKER_STOP | Trouble.BROKER_KILL:
                self._restart_broker(blow)

    def _cut(self, victim: str) -> None:
        broker = self._stack.broker
        with httpx.Client(
            base_url=broker.management_url or "", auth=("guest", "guest"), timeout=30, trust_env=False
        ) as api:
            for connection in api.get("/api/connections").raise_for_status().json():
                if connection.get("user_provided_name", "").split(" ")[0] == victim:
                    api.delete(f"/api/connections/{quote(connection['name'], safe='')}")

    def _lock(self, blow: Blow) -> None:
        path = self._stack.database(blow.victim)
        with closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            sleep(blow.seconds)

    def _restart_broker(self, blow: Blow) -> None:
        broker = self._stack.broker
        if blow.trouble is Trouble.BROKER_KILL:
            broker.kill()
        else:
            broker.stop()
        sleep(blow.seconds)
        broker.start()
