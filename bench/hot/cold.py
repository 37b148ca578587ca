"""Processor time of one piece of work, at once and after rests: `python -m bench.hot.cold`.

The work is what a service does with a message: headers and event are read, and a message is made. It is the
same each time. After a rest other processes have taken the caches of the processor, so it takes longer: that
much of the cost of a task that is alone is the machine's.
"""

import os
import time
from statistics import median
from typing import Final

from waybill_contracts.kinds import SyncRequested
from waybill_contracts.privacy import Keyring
from waybill_contracts.versions import opener, read_event
from waybill_contracts.wire import CONTENT_TYPE_EVENT, Envelope
from waybill_ledger import new_task_id
from waybill_testkit.samples import envelope_of, sync_event
from waybill_worker.amqp import publish_frames

#: Seconds of rest, and how often the work is done with each of them.
RESTS: Final = ((0.0, 2000), (0.001, 1000), (0.004, 500), (0.05, 60))
ROUNDS: Final = 5
_FRAME: Final = 131_072


class _Work:
    """One message of a service."""

    def __init__(self) -> None:
        self._keyring = Keyring.of(Keyring.new_key())
        self._task_id = new_task_id()
        event = sync_event("1")
        self._body = self._keyring.sealed_payload(event, self._task_id)
        self._headers = envelope_of(event, self._task_id).to_headers()

    def do(self) -> None:
        envelope = Envelope.from_headers(self._headers)
        opened = opener(self._keyring, self._task_id)
        event = read_event(SyncRequested, envelope.dataschema, self._body, opened=opened).event
        body = self._keyring.sealed_payload(event, self._task_id)
        publish_frames(
            1,
            _FRAME,
            body,
            exchange="events",
            routing_key="task",
            headers=envelope.to_headers(),
            message_id=self._task_id,
            content_type=CONTENT_TYPE_EVENT,
            correlation_id=self._task_id,
            priority=None,
        )


def main() -> None:
    """Runs the command line."""
    work = _Work()
    _microseconds(work, *RESTS[0])
    rounds = [[_microseconds(work, *rest) for rest in RESTS] for _ in range(ROUNDS)]
    for (rest, _), took in zip(RESTS, zip(*rounds, strict=True), strict=True):
        print(f"after a rest of {1000 * rest:g} ms: {median(took):.0f} us; load {os.getloadavg()[0]:.1f}")


def _microseconds(work: _Work, rest: float, times: int) -> float:
    """Processor time of the work, each time after a rest, without that of the rest."""
    spent = 0
    for _ in range(times):
        if rest:
            time.sleep(rest)
        began = time.thread_time_ns()
        work.do()
        spent += time.thread_time_ns() - began
    return spent / times / 1000


if __name__ == "__main__":
    main()
