"""`waybill relay`: relays the rows of an application outbox."""

import logging
import signal

import click
from prometheus_client import CollectorRegistry, start_http_server

from waybill.commands.application_database import database_errors, database_option
from waybill.outbox import RunningRelay
from waybill_cli.command_line import Command
from waybill_cli.session import Session, with_session


@click.command(cls=Command, epilog="waybill relay --database postgresql://shop@db/shop")
@database_option
@click.option(
    "--metrics",
    metavar="PORT",
    type=click.IntRange(1, 65535),
    help="Serves /metrics on this port.",
)
@with_session
def relay(session: Session, /, *, database: str, metrics: int | None) -> None:
    """Posts the rows of an application's outbox until a signal stops it.

    Rows are deleted once their tasks are accepted; while the gateway is away they wait. Several relays of one
    database share the work.

    Exits with 0 when it is stopped; rows that are left are posted by the next relay.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with database_errors():
        running = RunningRelay(database, gateway=session.config.url().value, api_key=session.config.api_key())
    if metrics is not None:
        registry = CollectorRegistry()
        registry.register(running.collector())
        start_http_server(metrics, registry=registry)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop())
    session.out.remark("relaying; Ctrl-C stops it")
    running.relay()
