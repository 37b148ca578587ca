"""`make soak`: a mixed load on the whole stack while everything fails, from a seed that repeats the plan.

Exits 0 only if every accepted task has exactly one outcome, and its effect once.
`make soak ARGS="--minutes 10 --seed 42 --rate 5"`
"""

import argparse
import random
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from tests.crash.callers import Accepted, Caller
from tests.crash.stack import PATIENCE
from tests.soak.count import Verdict, count
from tests.soak.plan import Plan, make_plan
from tests.soak.stack import CONNECTIONS, SoakStack, up
from tests.soak.trouble import Troublemaker
from waybill_devstack.processes.serving import print_line
from waybill_testkit.broker import private_broker
from waybill_testkit.machine.container_setting import in_containers

#: Seconds between two lines of progress.
PROGRESS_SECONDS = 10.0
#: Posts that mailbox and crm can keep: 10,000 calls, and a retry is one too.
MOST_POSTS = 6_000


def main() -> int:
    """Runs the soak, and prints the counts."""
    arguments = _arguments()
    seconds = arguments.minutes * 60
    if seconds * arguments.rate > MOST_POSTS:
        print_line(f"mailbox and crm keep {MOST_POSTS} tasks: choose fewer minutes or a lower rate")
        return 2
    plan = make_plan(arguments.seed, seconds, arguments.rate)
    folder = Path(tempfile.mkdtemp(prefix="waybill-soak-"))
    print_line(
        f"soak: seed {arguments.seed}, {len(plan.posts)} tasks and {len(plan.blows)} blows in {seconds:g} s"
    )
    print_line(f"logs in {folder}")
    with (
        private_broker(folder / "broker", in_container=in_containers()) as broker,
        up(folder, broker) as stack,
    ):
        began = monotonic()

        def say(line: str) -> None:
            print_line(f"{monotonic() - began:4.0f} s  {line}")

        trouble = Troublemaker(stack, say)
        accepted = _soak(stack, plan, trouble, began)
        say(f"all is healed; {len(accepted)} tasks were accepted, waiting for rest")
        verdict = count(stack, len(plan.posts), accepted, trouble.email_kills)
        account = stack.gateway.get("/v1/accounting").raise_for_status().json()
        say("at rest" if verdict.unrest is None else f"not at rest: {verdict.unrest}")
    _print_counts(verdict, trouble)
    print_line(f"the gateway's account: {account['total']}, balanced: {account['balanced']}")
    right = verdict.is_right and account["balanced"]
    print_line("All is accounted for." if right else f"WRONG. Repeat it with --seed {arguments.seed}.")
    return 0 if right else 1


def _soak(stack: SoakStack, plan: Plan, trouble: Troublemaker, began: float) -> list[Accepted]:
    longest = plan.posts[-1].at + PATIENCE
    caller = Caller(stack.gateway, began + longest)
    answers: list[Future[Accepted | None]] = []
    with ThreadPoolExecutor(CONNECTIONS) as callers, _progress(stack, answers, began):
        blows = callers.submit(trouble.deal, plan.blows, began)
        for post in plan.posts:
            sleep(max(0.0, began + post.at - monotonic()))
            answers.append(callers.submit(caller.do, post.call))
        blows.result()
        trouble.heal()
        return [accepted for answer in answers if (accepted := answer.result()) is not None]


@contextmanager
def _progress(stack: SoakStack, answers: list[Future[Accepted | None]], began: float) -> Iterator[None]:
    over = threading.Event()

    def report() -> None:
        while not over.wait(PROGRESS_SECONDS):
            answered = sum(answer.done() for answer in answers)
            states = stack.ledger.number_by_state()
            numbers = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
            print_line(f"{monotonic() - began:4.0f} s  {len(answers)} posted, {answered} answered; {numbers}")

    reporting = threading.Thread(target=report)
    reporting.start()
    try:
        yield
    finally:
        over.set()
        reporting.join()


def _print_counts(verdict: Verdict, trouble: Troublemaker) -> None:
    dealt = ", ".join(f"{kind} {number}" for kind, number in sorted(trouble.dealt.items()))
    states = ", ".join(f"{number} {state}" for state, number in sorted(verdict.states.items()))
    for wrong in (*verdict.lost, *verdict.doubled):
        print_line(f"WRONG  {wrong}")
    print_line(f"dealt: {dealt}")
    print_line(f"accepted {verdict.accepted} of {verdict.asked} tasks; their subtasks: {states}")
    print_line(
        f"lost {len(verdict.lost)}, doubled {len(verdict.doubled)}; mails doubled in the SMTP window "
        f"{verdict.in_window}, repeats recognised {verdict.recognised}, cancelled in doubt {verdict.in_doubt}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10, help="how long the load lasts (10)")
    parser.add_argument("--rate", type=float, default=5, help="tasks posted in a second (5)")
    fresh = random.SystemRandom().randrange(1_000_000)
    parser.add_argument("--seed", type=int, default=fresh, help="repeats the plan of an earlier soak")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
