"""`waybill contracts`: checks that the contracts of a release can read all waiting payloads."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

import click

from waybill_cli.broker import run_on_broker, waiting_at_broker
from waybill_cli.checking import Tally, Waiting, read_waiting, read_waiting_file
from waybill_cli.command_line import CommandError, Exit, Group
from waybill_cli.session import Gateway, Session, Setting, service_option, services_of, with_session
from waybill_contracts.registry import Manifest, Registry, built_in_manifests, registry_of

_COLUMNS: Final = ("WHERE", "SERVICE", "KIND", "SCHEMA", "COUNT", "SAMPLE", "WHY NOT")
_WAITING: Final = "/v1/contracts/waiting"
#: Messages of one queue; more take long, and are of few kinds.
_MOST_READ: Final = 10_000


@click.group(cls=Group)
def contracts() -> None:
    """Checks that this release can read all waiting payloads."""


@contracts.command(
    "check",
    epilog="waybill contracts check         # payloads known to the ledger\n"
    "waybill contracts check --against https://waybill.example.com\n"
    "waybill contracts check --against amqp://reader@broker/  # what waits there\n"
    "waybill contracts check --against letters.jsonl  # an export; - is stdin\n"
    "waybill contracts check --manifest invoices.json",
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
    default=_MOST_READ,
    show_default=True,
    help="Messages read from one queue of a broker, at most.",
)
@click.option(
    "--manifest",
    "manifests",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Manifest of a service as `waybill manifest` prints it, instead of the one that comes with Waybill, "
    "or beside those; may be repeated.",
)
@service_option
@with_session
def check(
    session: Session,
    /,
    *,
    sources: tuple[str, ...],
    manifests: tuple[Path, ...],
    services: tuple[str, ...],
    limit: int,
) -> Exit:
    """Checks waiting payloads against the contracts of a release; for CI, before a deploy.

    Exits with 0 if all can be read, 1 if not. The gateway knows all that wait: tasks without an outcome,
    wherever their messages are, and dead letters.

    At a broker the messages of dead-letter queues, `unrouted` and the delay ladder are taken and returned.
    The broker counts that (these queues allow a million), and messages on the ladder are delayed meanwhile.
    Work queues are left out, because they allow ten: check the gateway as well.
    """
    tally = Tally(_release(manifests))
    with session.out.bar("checking", None) as show_progress:
        for source in sources or ("",):
            _add(session, source, services, tally, limit, lambda: show_progress(tally.number(), ""))
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


def _release(paths: Iterable[Path]) -> Registry:
    """The services that come with Waybill, with those of the manifests."""
    services = {manifest.service: manifest for manifest in built_in_manifests()}
    for path in paths:
        try:
            manifest = Manifest.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise CommandError(Exit.USAGE, f"{path} is not a manifest: {error}") from error
        services[manifest.service] = manifest
    try:
        return registry_of(*services.values())
    except ValueError as error:
        raise CommandError(Exit.USAGE, f"the manifests contradict each other: {error}") from error


def _add(
    session: Session,
    source: str,
    services: tuple[str, ...],
    tally: Tally,
    limit: int,
    step: Callable[[], None],
) -> None:
    read = partial(read_waiting, registry=tally.registry)

    def add_all(found: Iterable[Waiting]) -> None:
        for waiting in found:
            tally.add(waiting)
            step()

    if source.startswith(("amqp://", "amqps://")):
        named = services_of(session, services)
        run_on_broker(_add_from_broker(session, source, named, tally, limit, step))
    elif source == "":
        add_all(map(read, session.gateway.lines(_WAITING)))
    elif source.startswith(("http://", "https://")):
        url = Setting(source.rstrip("/"), "--against", session.config.tls())
        gateway = Gateway(url, api_key=session.config.api_key(), actor=session.config.actor())
        try:
            add_all(map(read, gateway.lines(_WAITING)))
        finally:
            gateway.close()
    else:
        add_all(read_waiting_file(source, tally.registry))


async def _add_from_broker(
    session: Session,
    source: str,
    services: tuple[str, ...],
    tally: Tally,
    limit: int,
    step: Callable[[], None],
) -> None:
    def partly(name: str, held: int) -> None:
        session.out.remark(f"{name} holds {held}; the first {limit} were checked (--limit)")

    async for waiting in waiting_at_broker(Setting(source, "--against"), services, limit, partly):
        tally.add(waiting)
        step()
