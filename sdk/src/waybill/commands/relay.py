"""`waybill relay`: relays the rows of an application outbox."""

import logging
import signal

import click
from prometheus_client import CollectorRegistry, start_http_server

from waybill.commands.application_database import database_errors, database_option
from waybill.outbox import RunningRelay
from waybill.outbox.relay import KEYS_KEPT_DAYS, limits_for
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
@click.option(
    "--keys-kept-days",
    type=click.IntRange(min=0),
    default=KEYS_KEPT_DAYS,
    show_default=True,
    envvar="WAYBILL_KEEP_KEYS_DAYS",
    help="How long the installation keeps idempotency keys; 0: for ever [env: WAYBILL_KEEP_KEYS_DAYS].",
)
@with_session
def relay(session: Session, /, *, database: str, metrics: int | None, keys_kept_days: int) -> None:
    """Posts the rows of an application's outbox until a signal stops it.

    Rows are deleted once their tasks are accepted; while the gateway is away they wait. Several relays of one
    database share the work.

    Exits with 0 when it is stopped; rows that are left are posted by the next relay.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # It would log each post.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with database_errors():
        running = RunningRelay(
            database,
            gateway=session.config.url().value,
            api_key=session.config.api_key(),
            ca_file=session.config.ca_file(),
            limits=limits_for(keys_kept_days),
        )
    if metrics is not None:
        registry = CollectorRegistry()
        registry.register(running.collector())
        start_http_server(metrics, registry=registry)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop())
    session.out.remark("relaying; Ctrl-C stops it")
    running.relay()
