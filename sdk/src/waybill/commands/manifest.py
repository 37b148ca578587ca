"""`waybill manifest`: prints what a service states of itself."""

from pathlib import Path

import click

from waybill.commands.loading import load_service
from waybill.definition import DefinitionError
from waybill_cli.command_line import Command, CommandError, Exit


@click.command(
    cls=Command,
    epilog="waybill manifest invoices:service > invoices.json\n"
    "git diff --exit-code invoices.json  # in CI: shows each change",
)
@click.argument("service", metavar="MODULE:SERVICE")
@click.option("--release", metavar="TEXT", help="Instead of the version of its distribution.")
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Writes it to a file instead.",
)
def manifest(service: str, release: str | None, output: Path | None) -> None:
    """Prints the manifest of a service as canonical JSON: the same for the same code.

    It has the service's name and release, the kinds that it handles with their contracts and policies, and
    the kinds that it emits. Nothing is read from the environment, and nothing is connected to.
    """
    try:
        text = load_service(service).manifest(release=release).text()
    except DefinitionError as error:
        raise CommandError(Exit.USAGE, str(error)) from error
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text)
