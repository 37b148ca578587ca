"""Finds the service that a command names."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from waybill.definition import DefinitionError, Service
from waybill_cli.command_line import CommandError, Exit


def load_service(target: str) -> Service[Any]:
    """The service at `MODULE:SERVICE`, such as `invoices:service`; modules of the working folder are found.

    Raises:
        CommandError: there is no such module or service, or it is defined wrongly.
    """
    module, _, name = target.partition(":")
    if not module or not name:
        raise CommandError(Exit.USAGE, f"{target!r} is not MODULE:SERVICE, such as invoices:service")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module != missing and not module.startswith(f"{missing}."):
            raise
        raise CommandError(
            Exit.USAGE, f"there is no module {module}", f"Looked in {folder} and in what is installed."
        ) from None
    except DefinitionError as error:
        raise CommandError(Exit.USAGE, f"{module}: {error}") from error
    service = getattr(found, name, None)
    if not isinstance(service, Service):
        services = [each for each, value in vars(found).items() if isinstance(value, Service)]
        hint = (
            f"It has: {', '.join(services)}." if services else 'It defines none: service = Service("name").'
        )
        raise CommandError(Exit.USAGE, f"{module} has no service {name}", hint)
    return service
