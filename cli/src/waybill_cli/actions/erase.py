"""Erasures by person and by task: their steps, and the report at the end."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from waybill_cli.command_line import Exit
from waybill_cli.session import Session

#: Fields of a step that are added up.
COUNTED: Final = ("tasks", "letters", "schedules", "password_resets", "idempotency_keys")
#: Most tasks in one call.
MOST_NAMED: Final = 50


@dataclass
class Erasure:
    """What has been erased so far."""

    #: Its name in the audit trail.
    name: str | None = None
    done: Counter[str] = field(default_factory=Counter)
    #: Tasks that were left as they are, by state.
    left: Counter[str] = field(default_factory=Counter)

    def add(self, step: Mapping[str, Any]) -> None:
        """Counts a step in."""
        self.name = step["erasure"]
        self.done.update({name: step[name] for name in COUNTED})
        self.left.update(step["open"])


def run_person_erasure(session: Session, wanted: dict[str, Any], total: int) -> Erasure:
    """Erases what is held of a person, step by step; the gateway must answer each."""
    return _counted(session, _steps(session, wanted), total)


def run_task_erasure(session: Session, ids: list[str], *, cancel_open: bool) -> Erasure:
    """Erases the contents of the named tasks, step by step; the gateway must answer each."""
    return _counted(session, _named(session, ids, cancel_open=cancel_open), len(ids))


def report_erasure(session: Session, erasure: Erasure, *, cancelled: bool) -> Exit:
    """Reports what was erased, and what is left to do; nothing is left if the exit code is 0."""
    done, left = erasure.done, erasure.left.total()
    session.out.result(
        {"erasure": erasure.name, "erased": {name: done[name] for name in COUNTED}, "open": left},
        f"erased {done['tasks']} task(s), {done['letters']} letter(s), {done['schedules']} schedule(s), "
        f"{done['password_resets']} reset link(s); erasure {erasure.name}",
    )
    if not left:
        return Exit.OK
    what = "are being cancelled" if cancelled else "stay as they are (--cancel cancels them)"
    states = ", ".join(f"{number} {state}" for state, number in sorted(erasure.left.items()))
    session.out.remark(f"{left} task(s) have no outcome yet ({states}) and {what}: run it again later.")
    return Exit.NO


def _counted(session: Session, steps: Iterable[Mapping[str, Any]], total: int) -> Erasure:
    erasure = Erasure()
    with session.out.bar("erasing", total) as progress:
        for step in steps:
            erasure.add(step)
            progress(erasure.done["tasks"] + erasure.left.total(), "")
    return erasure


def _steps(session: Session, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    further: dict[str, Any] = {}
    while True:
        step = session.gateway.post("/v1/persons/erasures", wanted | further)
        yield step
        if step["after"] is None:
            return
        further = {"after": step["after"], "erasure": step["erasure"]}


def _named(session: Session, ids: list[str], *, cancel_open: bool) -> Iterator[dict[str, Any]]:
    further: dict[str, Any] = {"cancel_open": cancel_open}
    for first in range(0, len(ids), MOST_NAMED):
        step = session.gateway.post("/v1/erasures", {"tasks": ids[first : first + MOST_NAMED]} | further)
        yield step
        further["erasure"] = step["erasure"]
