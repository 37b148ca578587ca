"""`waybill run`: runs a service."""

import click

from waybill.commands.loading import load_service
from waybill_cli.command_line import Command


@click.command(
    cls=Command,
    epilog="WAYBILL_AMQP_URL=amqp://… WAYBILL_INBOX_URL=sqlite:///inbox.db waybill run invoices:service",
)
@click.argument("service", metavar="MODULE:SERVICE")
def run(service: str) -> None:
    """Runs a service until a signal stops it.

    Its settings come from WAYBILL_… variables; it needs a broker and a database for its inbox.

    Exits with 0, with 78 if people must correct something before it can start, with 70 if it fails.
    """
    load_service(service).run()
