"""The rows and columns of the crash matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.crash.outbox.names import RELAY, SHOP
from tests.crash.team.names import AUDITORS, CHILDREN, OWNER


class Harm(StrEnum):
    """Columns: what is done while a process stands at a boundary."""

    KILL = "kill"
    CUT = "cut"
    BROKER = "broker"
    LOCK = "lock"


#: The columns in words.
HARMS = {
    Harm.KILL: "process `kill -9`ed",
    Harm.CUT: "its connections cut",
    Harm.BROKER: "broker stopped and started",
    Harm.LOCK: "its database locked",
}


class Flow(StrEnum):
    """Tasks of a row, and their expected outcome."""

    SYNC = "sync"
    RETRY = "retry"
    DEAD = "dead"
    LATER = "later"
    MAIL = "mail"
    IMAGE = "image"
    #: Of a kind outside of the catalogue. Each spawns further tasks of another one, and reports progress.
    SPAWN = "spawn"
    #: Of a kind outside of the catalogue, with long attempts.
    LONG = "long"
    #: Of a kind outside of the catalogue, which one service handles while another one is registered for it.
    REGISTER = "register"
    #: Of orders of an application with an outbox, whose relay submits them.
    OUTBOX = "outbox"
    #: Cancelled: while they wait for their second attempt, while they run, and around the time they are due.
    CANCEL_RETRYING = "cancel-retrying"
    CANCEL_RUNNING = "cancel-running"
    CANCEL_LATER = "cancel-later"

    @property
    def is_cancelled(self) -> bool:
        """Whether the callers cancel their tasks."""
        return self.name.startswith("CANCEL")

    @property
    def children(self) -> int:
        """Tasks that each task spawns."""
        return CHILDREN if self is Flow.SPAWN else 0


@dataclass(frozen=True, slots=True)
class Row:
    """A boundary between two steps."""

    name: str
    boundary: str
    process: str
    point: str
    flow: Flow = Flow.SYNC
    #: Tasks that pass first, and tasks that stand here when harm is done; the others are anywhere.
    passing: int = 3
    standing: int = 4
    #: A repeat of the effect cannot be recognised: SMTP has no keys.
    in_smtp_window: bool = False
    #: What can be done to a process that stands here.
    harms: frozenset[Harm] = frozenset(Harm)
    #: Process that is harmed, if it is not the one that stands here.
    harmed: str | None = None
    #: A second relay of the application runs meanwhile.
    has_second_relay: bool = False
    #: Seconds until a killed process is started again.
    seconds_away: float = 0.0

    def may_double(self, harm: Harm) -> bool:
        """Whether a doubled effect is what the product declares to be possible here."""
        return self.in_smtp_window and harm is Harm.KILL


#: Longer than a relay waits at most between two posts (30 s), so that it also comes back from that.
AWAY_SECONDS = 65.0
_KILLED = frozenset({Harm.KILL})


def _outbox_row(
    name: str, boundary: str, process: str, point: str, *, standing: int = 1, **differing: Any
) -> Row:
    """A row of an application with an outbox, which has no connections to a broker."""
    usual: dict[str, Any] = {"passing": 0, "standing": standing, "harms": frozenset({Harm.KILL, Harm.LOCK})}
    return Row(name, boundary, process, point, Flow.OUTBOX, **usual | differing)


ROWS = (
    Row("accept-before", "asked → accept committed", "gateway", "accept:before"),
    Row("accept", "accept committed → answered", "gateway", "accept:after"),
    Row("publish-before", "answered → published", "gateway", "publish:before"),
    Row("publish", "published → outbox row deleted", "gateway", "publish:after"),
    # One deletion stands for the rows of many tasks.
    Row("mark", "outbox row deleted →", "gateway", "mark:after", passing=0, standing=1),
    Row("claim-before", "delivered → claimed", "sync", "claim:before"),
    Row("claim", "claimed → effect", "sync", "claim:after"),
    Row("effect", "effect → outcome recorded", "sync", "effect:after"),
    Row("record", "outcome recorded → reported", "sync", "record:after"),
    Row("report", "reported → acknowledgement due", "sync", "report:after"),
    # Acknowledgements go out many at a time: one of them stands for all that are due.
    Row("ack-before", "acknowledgements due → sent", "sync", "ack:before", passing=0, standing=1),
    Row("ack", "acknowledged →", "sync", "ack:after", passing=0, standing=1),
    Row("retry-before", "failure reported → retry published", "sync", "retry:before", Flow.RETRY),
    Row("retry", "retry published → acknowledged", "sync", "retry:after", Flow.RETRY),
    Row("dead-letter-before", "death reported → dead-lettered", "sync", "dead-letter:before", Flow.DEAD),
    Row("dead-letter", "dead-lettered → acknowledged", "sync", "dead-letter:after", Flow.DEAD),
    Row("apply-before", "report delivered → in the ledger", "status", "apply:before", passing=0, standing=1),
    Row("apply", "report in the ledger → acknowledged", "status", "apply:after", passing=0, standing=1),
    Row(
        "release-before",
        "due → taken by a sweep",
        "status",
        "release:before",
        Flow.LATER,
        passing=0,
        standing=1,
    ),
    Row(
        "release",
        "taken by a sweep → published",
        "status",
        "release:after",
        Flow.LATER,
        passing=0,
        standing=1,
    ),
    Row(
        "sweep",
        "published by a sweep → row deleted",
        "status",
        "sweep:after",
        Flow.LATER,
        passing=0,
        standing=1,
    ),
    Row(
        "image",
        "files stored → outcome recorded",
        "images",
        "effect:after",
        Flow.IMAGE,
        passing=1,
        standing=2,
    ),
    Row("mail-before", "mail's envelope sent → its content", "email", "effect:before", Flow.MAIL),
    Row(
        "mail",
        "mail taken by the server → outcome recorded",
        "email",
        "effect:after",
        Flow.MAIL,
        in_smtp_window=True,
    ),
    Row(
        "cancel-before",
        "asked to cancel → cancellation committed",
        "gateway",
        "cancel:before",
        Flow.CANCEL_RETRYING,
    ),
    Row("cancel", "cancellation committed → answered", "gateway", "cancel:after", Flow.CANCEL_RETRYING),
    Row(
        "announce-before",
        "cancellation answered → published",
        "gateway",
        "announce:before",
        Flow.CANCEL_RETRYING,
    ),
    Row(
        "announce",
        "published → outbox row deleted",
        "gateway",
        "announce:after",
        Flow.CANCEL_RETRYING,
    ),
    Row(
        "remember-before",
        "cancellation delivered → kept in the inbox",
        "sync",
        "remember:before",
        Flow.CANCEL_RUNNING,
    ),
    Row("remember", "kept in the inbox → handler stopped", "sync", "remember:after", Flow.CANCEL_RUNNING),
    Row("stop", "handler stopped, acknowledged →", "sync", "stop:after", Flow.CANCEL_RUNNING),
    Row("spawn-claim", "claimed → tasks submitted", OWNER, "claim:after", Flow.SPAWN),
    Row("progress", "tasks submitted, progress reported → effect", OWNER, "progress:after", Flow.SPAWN),
    Row("spawn-before", "tasks submitted, effect → outcome recorded", OWNER, "effect:after", Flow.SPAWN),
    Row("spawn", "outcome with its tasks recorded → reported", OWNER, "record:after", Flow.SPAWN),
    Row("spawn-report", "tasks reported → acknowledgement due", OWNER, "report:after", Flow.SPAWN),
    Row(
        "spawn-apply-before",
        "report with tasks delivered → in the ledger",
        "status",
        "apply:before",
        Flow.SPAWN,
        passing=0,
        standing=1,
    ),
    Row(
        "spawn-apply",
        "tasks accepted with their parent's outcome → report acknowledged",
        "status",
        "apply:after",
        Flow.SPAWN,
        passing=0,
        standing=1,
    ),
    # The first attempts' claims and outcomes pass; those of the cancelled second ones stand here.
    Row(
        "withdraw-before",
        "claim finds the cancellation → outcome recorded",
        "sync",
        "claim:after",
        Flow.CANCEL_RETRYING,
        passing=20,
    ),
    Row(
        "withdraw",
        "outcome `cancelled` recorded → reported",
        "sync",
        "record:after",
        Flow.CANCEL_RETRYING,
        passing=20,
    ),
    Row(
        "cancel-due",
        "taken by a sweep and cancelled → published",
        "status",
        "release:after",
        Flow.CANCEL_LATER,
        passing=0,
        standing=1,
    ),
    *(
        Row(name, boundary, OWNER, point, Flow.LONG, passing=1, standing=2)
        for name, boundary, point in (
            ("keep-before", "long attempt claimed → its message in the inbox", "keep:before"),
            ("keep", "message in the inbox → acknowledged", "keep:after"),
            ("long-effect", "acknowledged, effect → outcome recorded", "effect:after"),
            ("long-record", "outcome of a long attempt recorded → reported", "record:after"),
            ("long-report", "outcome reported → message deleted in the inbox", "report:after"),
            ("forget", "message deleted in the inbox →", "forget:after"),
        )
    ),
    *(
        Row(name, boundary, process, point, Flow.REGISTER, passing=0, standing=1)
        for name, boundary, process, point in (
            ("register-before", "asked to register → registration committed", "gateway", "register:before"),
            ("register", "registration committed → answered", "gateway", "register:after"),
            ("declare-before", "registration committed → topology declared", "status", "declare:before"),
            ("confirm-before", "topology declared → confirmed in the ledger", "status", "confirm:before"),
            ("confirm", "confirmed in the ledger → routes in use", "status", "confirm:after"),
        )
    ),
    Row(
        "enrol",
        "registration answered → service started",
        AUDITORS,
        "enrol:after",
        Flow.REGISTER,
        passing=0,
        standing=1,
        # It has no connections yet.
        harms=frozenset(Harm) - {Harm.CUT},
    ),
    # One transaction of SQLite at a time, which has the lock itself.
    _outbox_row("order-before", "order and event written → commit", SHOP, "commit:before", harms=_KILLED),
    _outbox_row("order", "order and event committed → answered", SHOP, "commit:after", standing=4),
    # A relay posts all that is there at once.
    _outbox_row("relay-before", "rows leased → posted", RELAY, "post:before"),
    _outbox_row(
        "relay-two", "rows leased → posted, with a second relay", RELAY, "post:before", has_second_relay=True
    ),
    _outbox_row(
        "relay-amid",
        "rows posted → accept committed; the relay is killed",
        "gateway",
        "accept:before",
        harmed=RELAY,
        harms=_KILLED,
    ),
    _outbox_row("relay-accept", "rows accepted → answered", "gateway", "accept:after", harms=_KILLED),
    _outbox_row("relay", "202 → rows deleted", RELAY, "post:after"),
    _outbox_row("relay-after", "rows deleted →", RELAY, "remove:after"),
    _outbox_row(
        "relay-away",
        f"rows posted → accept committed; away for {AWAY_SECONDS:g} s",
        "gateway",
        "accept:before",
        harms=_KILLED,
        seconds_away=AWAY_SECONDS,
    ),
)


def cells(rows: Sequence[Row], harms: Sequence[Harm]) -> list[tuple[Row, Harm]]:
    """The cells of these rows and columns."""
    return [(row, harm) for harm in harms for row in rows if harm in row.harms]
