"""`make outage`: the broker is away for a minute under load. Exits 0 only if every post was answered 202.

`make outage ARGS="--away 60 --rate 50"` prints how many were accepted and completed, how long the answers
took, and how soon work went on after the broker was back.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from time import monotonic, sleep

from tests.crash.callers import TERMINAL
from tests.crash.stack import until
from tests.soak.stack import CONNECTIONS, SoakStack, up
from waybill_devstack.processes.serving import print_line
from waybill_testkit.broker import private_broker
from waybill_testkit.machine.container_setting import in_containers

#: Seconds of load before the broker goes away.
BEFORE_SECONDS = 5.0
#: Seconds until the backlog of an outage is worked off on a busy machine.
BACKLOG_SECONDS = 600.0
#: Which of the answer times are shown.
SHARES = (("p50", 0.5), ("p99", 0.99), ("longest", 1.0))


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to one post; posts are not repeated."""

    #: When it was posted, in the seconds of `monotonic`, and how long the answer took.
    posted: float
    seconds: float
    status: int
    task_id: str | None


@dataclass(frozen=True, slots=True)
class Outage:
    """Result of an outage."""

    #: When the broker had gone, and when it took connections again.
    gone: float
    back: float
    answers: Sequence[Answer]
    #: Seconds from then to the next task's completion, and to the last one's.
    resumed: float
    drained: float
    completed: int

    @property
    def accepted(self) -> int:
        """How many were answered with 202."""
        return sum(answer.status == HTTPStatus.ACCEPTED for answer in self.answers)

    @property
    def is_right(self) -> bool:
        """Whether every post was accepted, and all of it was done."""
        return self.accepted == self.completed == len(self.answers)

    def answer_seconds(self, *, away: bool) -> list[float]:
        """How long the answers took while the broker was away, or there; sorted."""
        return sorted(a.seconds for a in self.answers if (self.gone <= a.posted < self.back) is away)


def take_broker_away(stack: SoakStack, *, seconds: float, rate: float) -> Outage:
    """Posts at a steady rate, takes the broker away meanwhile, and waits until all is done.

    Args:
        stack: which is up.
        seconds: how long no broker is there, at the least; its start takes some seconds more.
        rate: posts in a second.

    Raises:
        NotInTimeError: work did not go on after the broker was back.
    """
    with ThreadPoolExecutor(CONNECTIONS) as callers:
        posting = _Posting(stack, callers, rate)
        posting.go_on_until(monotonic() + BEFORE_SECONDS)
        stopping = callers.submit(stack.broker.stop)
        posting.go_on_while(lambda: not stopping.done())
        stopping.result()
        gone = monotonic()
        posting.go_on_until(gone + seconds)
        completed = _completed(stack)
        starting = callers.submit(stack.broker.start)
        posting.go_on_while(lambda: not starting.done())
        starting.result()
        back = monotonic()
        resuming = callers.submit(_wait_until, lambda: _completed(stack) > completed, "work to go on")
        posting.go_on_while(lambda: not resuming.done())
        resumed = resuming.result() - back
        answers = [answer.result() for answer in posting.answers]
    ids = [answer.task_id for answer in answers if answer.task_id is not None]
    drained = _wait_until(
        lambda: set(stack.ledger.states(ids).values()) <= TERMINAL, "the backlog to be done"
    )
    states = stack.ledger.states(ids).values()
    return Outage(
        gone, back, answers, resumed, drained - back, completed=sum(state == "completed" for state in states)
    )


class _Posting:
    """Posts at a steady rate, without waiting for answers."""

    def __init__(self, stack: SoakStack, callers: ThreadPoolExecutor, rate: float) -> None:
        self._stack = stack
        self._callers = callers
        self._pause = 1 / rate
        self._next = monotonic()
        self.answers: list[Future[Answer]] = []

    def go_on_until(self, end: float) -> None:
        self.go_on_while(lambda: monotonic() < end)

    def go_on_while(self, is_wanted: Callable[[], bool]) -> None:
        while is_wanted():
            sleep(max(0.0, self._next - monotonic()))
            self._next += self._pause
            self.answers.append(self._callers.submit(self._post, len(self.answers)))

    def _post(self, number: int) -> Answer:
        name = f"outage-{number}"
        sync = {"target": "crm", "resource": "outage", "id": name, "data": {"number": number}}
        posted = monotonic()
        # On a connection of its own: the gateway closes a kept one just as a caller that was held up uses it.
        answer = self._stack.gateway.post("/v1/syncs", json=sync, headers={"Connection": "close"})
        seconds = monotonic() - posted
        return Answer(posted, seconds, answer.status_code, answer.json().get("id"))


def _completed(stack: SoakStack) -> int:
    return stack.ledger.number_by_state().get("completed", 0)


def _wait_until(look: Callable[[], bool], what: str) -> float:
    until(look, what, BACKLOG_SECONDS)
    return monotonic()


def main() -> int:
    """Takes the broker away once, and prints the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--away", type=float, default=60, help="seconds without a broker (60)")
    parser.add_argument("--rate", type=float, default=50, help="posts in a second (50)")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="waybill-outage-"))
    print_line(
        f"outage: {arguments.away:g} s without a broker, {arguments.rate:g} posts a second; logs in {folder}"
    )
    with (
        private_broker(folder / "broker", in_container=in_containers()) as broker,
        up(folder, broker) as stack,
    ):
        outage = take_broker_away(stack, seconds=arguments.away, rate=arguments.rate)
    _print_result(outage)
    return 0 if outage.is_right else 1


def _print_result(outage: Outage) -> None:
    print_line(f"accepted {outage.accepted} of {len(outage.answers)} posts, completed {outage.completed}")
    print_line(f"the broker was away for {outage.back - outage.gone:.1f} s")
    for away, when in ((False, "while it was there"), (True, "while it was away")):
        seconds = outage.answer_seconds(away=away)
        shown = ", ".join(f"{name} {_at(seconds, share) * 1000:.0f} ms" for name, share in SHARES)
        print_line(f"answers {when}: {len(seconds)}, {shown}")
    print_line(
        f"the next task was completed {outage.resumed:.1f} s after it was back, "
        f"the last one {outage.drained:.1f} s after it"
    )
    print_line("Every post was accepted, and all is done." if outage.is_right else "WRONG")


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


if __name__ == "__main__":
    sys.exit(main())
