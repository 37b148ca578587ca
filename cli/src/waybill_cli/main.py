"""Root of the command line, and exit code of a run."""

import sys
from collections.abc import Sequence
from typing import Final

import click

from waybill_cli.command_line import Exit, Group, not_installed

_COMMANDS: Final = "waybill_cli.commands"
#: In the distribution `waybill`, for authors of services; named and not imported, as it imports this one.
_SERVICE_COMMANDS: Final = "waybill.commands"

EPILOG: Final = """\
waybill tasks ls --state failed --since 2h
waybill tasks watch 01a20797-6d09-71fe-b759-803ec3a459ee
waybill contracts check --against deadletters.jsonl

Exit codes
  0    done, or the answer is yes
  1    the answer is no: a task failed, a contract does not fit, you declined
  2    the command line or the configuration is wrong
  3    gateway or broker cannot be reached, or cannot answer now
  4    the gateway refused: not found, a conflict, a wrong field or key
  130  Ctrl-C

The gateway is found by --url, before or after the command, else WAYBILL_URL,
else `url` in ~/.config/waybill/config.toml, else the local stack of this
folder or a parent (python -m waybill_devstack up). The beginning of an id is
enough if it is unique.
"""


@click.group(
    cls=Group,
    lazy={
        "top": (f"{_COMMANDS}.top:top", "The overview, live: what needs you, rates, times, open work."),
        "tasks": (f"{_COMMANDS}.tasks:tasks", "Submit tasks; their state, history and files; cancel, erase."),
        "schedules": (f"{_COMMANDS}.schedules:schedules", "Schedules that make tasks repeatedly."),
        "kinds": (f"{_COMMANDS}.kinds:kinds", "Kinds of tasks, and who handles them."),
        "services": (f"{_COMMANDS}.services:services", "Register, show and retire services."),
        "accounting": (f"{_COMMANDS}.accounting:accounting", "Account of every accepted task."),
        "prune": (f"{_COMMANDS}.prune:prune", "Delete finished tasks by age."),
        "persons": (f"{_COMMANDS}.persons:persons", "Look up and erase the data of one person."),
        "queues": (f"{_COMMANDS}.queues:queues", "Queues of the broker: messages and consumers."),
        "contracts": (
            f"{_COMMANDS}.contracts:contracts",
            "Check that this release can read all waiting payloads.",
        ),
        "audit": (f"{_COMMANDS}.audit:audit", "Audit trail: who did what, when and why."),
        "keys": (f"{_COMMANDS}.keys:keys", "API keys and their scopes."),
        "dlq": (f"{_COMMANDS}.dlq.group:dlq", "Dead letters: inspect, repair, redrive."),
        "run": (f"{_SERVICE_COMMANDS}.run:run", "Run a service of your own."),
        "manifest": (f"{_SERVICE_COMMANDS}.manifest:manifest", "Print what a service states of itself."),
        "relay": (f"{_SERVICE_COMMANDS}.relay:relay", "Post the rows of an application's outbox."),
        "outbox": (f"{_SERVICE_COMMANDS}.outbox:outbox", "The rows of an application's outbox."),
        "new": (f"{_SERVICE_COMMANDS}.new:new", "Write the project of a new service."),
    },
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="waybill-cli", message="waybill %(version)s")
def root() -> None:
    """Operates Waybill: tasks, dead letters, queues, contracts."""


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code."""
    try:
        ended = root.main(list(arguments), prog_name="waybill", standalone_mode=False)
    except click.exceptions.Abort:
        return Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ModuleNotFoundError as error:
        missing = not_installed(error)
        if missing is None:
            raise
        missing.show()
        return Exit.USAGE
    return ended if isinstance(ended, int) else Exit.OK


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))
