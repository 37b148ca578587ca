"""The command line's root, and how a run ends."""

import sys
from collections.abc import Sequence
from typing import Final

import click

from waybill_cli.session.exits import Exit
from waybill_cli.session.options import Group

_COMMANDS: Final = "waybill_cli.commands"

EPILOG: Final = """\
waybill tasks ls --state failed --since 2h
waybill tasks watch 01a20797-6d09-71fe-b759-803ec3a459ee
waybill contracts check --against deadletters.jsonl

Exit codes
  0    done, or the answer is yes
  1    the answer is no: a task failed, a contract does not fit, you declined
  2    the command line or the configuration is wrong
  3    gateway or broker cannot be reached, or cannot answer now
  4    the gateway refused: no such thing, a conflict, a wrong field or key
  130  Ctrl-C

Where the gateway is: --url, before or behind the command, else WAYBILL_URL,
else `url` in ~/.config/waybill/config.toml, else the local stack (make up) of
this folder or one above it. Ids may be as short as they are unique.
"""


@click.group(
    cls=Group,
    lazy={
        "tasks": (f"{_COMMANDS}.tasks:tasks", "Where tasks are, and what happened to them."),
        "schedules": (f"{_COMMANDS}.schedules:schedules", "Tasks that are made again and again."),
        "accounting": (f"{_COMMANDS}.accounting:accounting", "What became of every task that was accepted."),
        "prune": (f"{_COMMANDS}.prune:prune", "Forget finished tasks by their age."),
        "persons": (f"{_COMMANDS}.persons:persons", "What is held of one person, and erasing it."),
        "queues": (f"{_COMMANDS}.queues:queues", "What waits at the broker, and who takes it."),
        "contracts": (f"{_COMMANDS}.contracts:contracts", "Whether this release can read what waits."),
        "audit": (f"{_COMMANDS}.audit:audit", "Who did what, when and why."),
        "keys": (f"{_COMMANDS}.keys:keys", "Who may do what."),
        "dlq": (f"{_COMMANDS}.dlq.group:dlq", "What failed for good: look, repair, redrive."),
    },
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="waybill-cli", message="waybill %(version)s")
def root() -> None:
    """Operates Waybill: tasks, the failure desk, queues, contracts."""


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; the exit code tells how it went."""
    try:
        ended = root.main(list(arguments), prog_name="waybill", standalone_mode=False)
    except click.exceptions.Abort:
        return Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return ended if isinstance(ended, int) else Exit.OK


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))
