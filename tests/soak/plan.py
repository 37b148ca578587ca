"""Plan of a soak: drawn from one seed, so that the seed repeats it."""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.crash.callers import Call, picture

#: Processes that are killed and cut off: ours. Mailbox and crm keep their state, as the outside world does.
VICTIMS = ("gateway", "status", "email", "images", "sync", "deadletters")
#: Troubles in a minute, on average; restarts of the broker are spread evenly.
KILLS, CUTS, LOCKS, CRM_FAULTS, MAILBOX_FAULTS, BROKER_RESTARTS = 3.0, 1.5, 1.0, 2.0, 2.0, 0.4
#: Seconds at the beginning without troubles.
CALM_SECONDS = 5.0
#: What the crm does for some writes: busy, down, asking to wait, too late with its answer, refusing.
CRM: tuple[dict[str, Any], ...] = (
    {"status": 503},
    {"status": 500},
    {"status": 429, "retry_after": 1},
    {"retry_after": 2},
    {"delay": 3},
    {"status": 422},
)
#: What the mailbox does for some mails.
MAILBOX = ("tempfail", "drop", "hang", "reject")
#: The most writes or mails that one fault is for; refusals are for few.
LONGEST_FAULT, LONGEST_REFUSAL = 20, 2
#: Kinds of tasks, in percent.
MIX = {"mail": 35, "sync": 33, "user": 18, "image": 4, "later": 10}
#: One task in so many is cancelled, in one of these states.
CANCELLED = 8
MOMENTS = (frozenset({"scheduled", "pending"}), frozenset({"running"}), frozenset({"retrying"}))
#: Seconds until a task that is for later is due, at the most.
LONGEST_DELAY = 20


class Trouble(StrEnum):
    """What is done to the stack."""

    KILL = "kill"
    CUT = "cut"
    LOCK = "lock"
    CRM = "crm fault"
    MAILBOX = "mailbox fault"
    BROKER_STOP = "broker stopped"
    BROKER_KILL = "broker killed"


@dataclass(frozen=True, slots=True)
class Blow:
    """One trouble."""

    #: Seconds after the beginning.
    at: float
    trouble: Trouble
    #: The process; empty for the rest.
    victim: str = ""
    #: Seconds that it lasts: the lock, the broker's absence.
    seconds: float = 0
    fault: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """One call and when it is made, in seconds after the beginning."""

    at: float
    call: Call


@dataclass(frozen=True, slots=True)
class Plan:
    """All of a soak, in order of time."""

    posts: tuple[Post, ...]
    blows: tuple[Blow, ...]


def make_plan(seed: int, seconds: float, rate: float) -> Plan:
    """The plan of a seed.

    Args:
        seed: the same seed makes the same plan.
        seconds: how long it lasts.
        rate: tasks posted in a second, on average.
    """
    draw = random.Random(seed)
    posts = [
        Post(at, _call(draw, f"soak-{seed}-{number}"))
        for number, at in enumerate(_times(draw, 0, seconds, rate))
    ]
    minutes = seconds / 60
    blows = [
        *(Blow(at, Trouble.KILL, draw.choice(VICTIMS)) for at in _moments(draw, seconds, KILLS * minutes)),
        *(Blow(at, Trouble.CUT, draw.choice(VICTIMS)) for at in _moments(draw, seconds, CUTS * minutes)),
        *(
            Blow(at, Trouble.LOCK, draw.choice(VICTIMS), draw.uniform(0.5, 4))
            for at in _moments(draw, seconds, LOCKS * minutes)
        ),
        *(
            Blow(at, Trouble.CRM, fault=_fault(draw, draw.choice(CRM), refusing={"status": 422}))
            for at in _moments(draw, seconds, CRM_FAULTS * minutes)
        ),
        *(
            Blow(at, Trouble.MAILBOX, fault=_mailbox_fault(draw))
            for at in _moments(draw, seconds, MAILBOX_FAULTS * minutes)
        ),
        *_broker_restarts(draw, seconds, round(max(1.0, BROKER_RESTARTS * minutes))),
    ]
    return Plan(tuple(posts), tuple(sorted(blows, key=lambda blow: blow.at)))


def _times(draw: random.Random, begin: float, end: float, rate: float) -> list[float]:
    times, at = [], begin
    while (at := at + draw.expovariate(rate)) < end:
        times.append(at)
    return times


def _moments(draw: random.Random, seconds: float, number: float) -> list[float]:
    return [draw.uniform(min(CALM_SECONDS, seconds / 2), seconds) for _ in range(max(1, round(number)))]


def _broker_restarts(draw: random.Random, seconds: float, number: int) -> list[Blow]:
    each = seconds / number
    return [
        Blow(
            index * each + draw.uniform(0.3, 0.7) * each,
            draw.choice((Trouble.BROKER_STOP, Trouble.BROKER_KILL)),
            seconds=draw.uniform(0, 8),
        )
        for index in range(number)
    ]


def _mailbox_fault(draw: random.Random) -> dict[str, Any]:
    return _fault(draw, {"mode": draw.choice(MAILBOX)}, refusing={"mode": "reject"})


def _fault(draw: random.Random, fault: dict[str, Any], refusing: dict[str, Any]) -> dict[str, Any]:
    return fault | {"count": draw.randint(1, LONGEST_REFUSAL if fault == refusing else LONGEST_FAULT)}


def _call(draw: random.Random, name: str) -> Call:
    (what,) = draw.choices(list(MIX), list(MIX.values()))
    moment = draw.choice(MOMENTS) if draw.randrange(CANCELLED) == 0 else None
    address = f"{name}@example.com"
    match what:
        case "mail":
            body = {"to": address, "subject": "Hello", "text": "Once."}
            return Call(name, "/v1/emails", {"json": body}, moment)
        case "user":
            body = {"id": name, "email": address, "name": "Ann"}
            return Call(name, "/v1/users", {"json": body}, moment)
        case "image":
            return Call(name, "/v1/images", {"files": {"file": (f"{name}.png", picture(name))}}, moment)
        case _:
            later = {"delay_seconds": draw.randint(1, LONGEST_DELAY)} if what == "later" else {}
            sync = {"target": "crm", "resource": "soak", "id": name, "data": {"name": name}}
            return Call(name, "/v1/syncs", {"json": sync | later}, moment)
