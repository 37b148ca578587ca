"""`waybill contracts`: whether the contracts of this checkout can read what waits right now."""

from collections.abc import Callable, Iterable
from typing import Final

import click

from waybill_cli.checking.at_broker import at_broker
from waybill_cli.checking.tally import Tally
from waybill_cli.checking.waiting import Waiting, from_document, from_file
from waybill_cli.session import broker
from waybill_cli.session.config import Setting
from waybill_cli.session.exits import Exit
from waybill_cli.session.gateway import Gateway
from waybill_cli.session.options import Group
from waybill_cli.session.session import Session, with_session

_COLUMNS: Final = ("WHERE", "SERVICE", "KIND", "SCHEMA", "COUNT", "SAMPLE", "WHY NOT")
_WAITING: Final = "/v1/contracts/waiting"
#: Of one queue; more take long, and are of the same few kinds.
_LOOKED_AT: Final = 10_000


@click.group(cls=Group)
def contracts() -> None:
    """Whether this release can read what waits."""


@contracts.command(
    "check",
    epilog="waybill contracts check         # what the ledger knows to wait\n"
    "waybill contracts check --against https://waybill.example.com\n"
    "waybill contracts check --against amqp://reader@broker/  # what waits there\n"
    "waybill contracts check --against letters.jsonl  # an export; - is stdin",
)
@click.option(
    "--against",
    "sources",
    metavar="SOURCE",
    multiple=True,
    help="A gateway's URL, a broker's (amqp://…), or a file of JSON lines as `waybill dlq export` makes it; "
    "may be repeated. [default: the gateway that is configured]",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=_LOOKED_AT,
    show_default=True,
    help="Messages of one queue of a broker that are looked at.",
)
@with_session
def check(session: Session, /, *, sources: tuple[str, ...], limit: int) -> Exit:
    """Checks what waits against the contracts of this checkout; for CI, before a deploy.

    Exits with 0 if all of it can be read, 1 if not. What waits is known to the gateway: tasks without an
    outcome, wherever their messages are, and dead letters.

    A broker is only looked at: messages of dead-letter queues, `unrouted` and the delay ladder are taken and
    given back, which it counts (they allow a million), and which holds up those on the ladder for as long as
    the look takes. Work queues are not looked at, for they allow ten: ask the gateway as well.
    """
    tally = Tally()
    with session.out.bar("checking", None) as tell:
        for source in sources or ("",):
            _add(session, source, tally, limit, lambda: tell(tally.number(), ""))
    if session.out.as_json:
        for document in tally.documents():
            session.out.document(document)
    elif tally.troubles:
        session.out.table(
            _COLUMNS,
            (
                (line.where, line.service, line.kind, line.dataschema, n.number, n.sample, line.fit.why)
                for line, n in tally.troubles.items()
            ),
        )
    session.out.remark(tally.summary())
    return Exit.NO if tally.troubles else Exit.OK


def _add(session: Session, source: str, tally: Tally, limit: int, tell: Callable[[], None]) -> None:
    def add_all(found: Iterable[Waiting]) -> None:
        for waiting in found:
            tally.add(waiting)
            tell()

    if source.startswith(("amqp://", "amqps://")):
        broker.run(_look(session, source, tally, limit, tell))
    elif source == "":
        add_all(map(from_document, session.gateway.lines(_WAITING)))
    elif source.startswith(("http://", "https://")):
        url = Setting(source.rstrip("/"), "--against", session.config.tls())
        gateway = Gateway(url, api_key=session.config.api_key(), actor=session.config.actor())
        try:
            add_all(map(from_document, gateway.lines(_WAITING)))
        finally:
            gateway.close()
    else:
        add_all(from_file(source))


async def _look(session: Session, source: str, tally: Tally, limit: int, tell: Callable[[], None]) -> None:
    def partly(name: str, held: int) -> None:
        session.out.remark(f"{name} holds {held}; the first {limit} were looked at (--limit)")

    async for waiting in at_broker(Setting(source, "--against"), limit, partly):
        tally.add(waiting)
        tell()
