"""`waybill run`: runs a service."""

import json
import os

import click

from waybill.commands.loading import load_service
from waybill.definition import DefinitionError
from waybill_cli.command_line import Command, CommandError, Exit
from waybill_cli.session import Session, with_session
from waybill_worker.runtime import MOST_PROCESSES


@click.command(
    cls=Command,
    epilog="WAYBILL_AMQP_URL=amqp://… WAYBILL_INBOX_URL=… waybill run invoices:service",
)
@click.argument("service", metavar="MODULE:SERVICE")
@click.option(
    "--register",
    is_flag=True,
    help="Registers it at the gateway first, as `waybill services apply` does; ends with 4 if refused.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, MOST_PROCESSES),
    help="Processes behind one parent, which starts those again that die; instead of WAYBILL_PROCESSES.",
)
@with_session
def run(session: Session, /, *, service: str, register: bool, processes: int | None) -> None:
    """Runs a service until a signal stops it.

    Its settings come from WAYBILL_… variables; it needs a broker and a database for its inbox. In the folder
    of a local stack, or below, variables that are not set are those of the stack.

    Exits with 0, with 78 if people must correct something before it can start, with 70 if it fails.
    """
    found = load_service(service)
    if register:
        try:
            manifest = found.manifest()
        except DefinitionError as error:
            raise CommandError(Exit.USAGE, str(error)) from error
        done = session.gateway.put(f"/v1/services/{manifest.service}", json.loads(manifest.text()))
        for line in done["changes"]:
            session.out.remark(line)
    session.close()
    if local := session.config.local_service(found.name):
        session.out.remark(f"{found.name} joins the local stack")
        os.environ.update(local | os.environ)
    if processes is not None:
        os.environ["WAYBILL_PROCESSES"] = str(processes)
    found.run()
