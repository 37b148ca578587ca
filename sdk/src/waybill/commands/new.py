"""`waybill new`: writes projects."""

from pathlib import Path

import click

from waybill.scaffold import ProjectError, write_project
from waybill_cli.command_line import CommandError, Exit, Group


@click.group(cls=Group)
def new() -> None:
    """Writes projects to begin with."""


@new.command("service", epilog="waybill new service invoices && cd invoices && pytest")
@click.argument("name")
@click.option(
    "--in",
    "parent",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder that gets the project. [default: this one]",
)
def service(name: str, parent: Path) -> None:
    """Writes the project of a service: one kind, one handler, tests, Dockerfile, compose stanza.

    NAME is that of the service and of its folder: small letters and digits, words joined by -.
    """
    try:
        folder = write_project(name, parent)
    except ProjectError as error:
        raise CommandError(Exit.USAGE, str(error)) from error
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        click.echo(path)
