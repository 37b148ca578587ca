"""`waybill dlq`: the failure desk, or the dead-letter queues directly if all else is down."""

from typing import Any, Final

import click

from waybill_cli.command_line import Given, Group, load

_HERE: Final = "waybill_cli.commands.dlq"
_DIRECT: Final = f"{_HERE}.direct:direct"
#: In place of a URL: the configured broker.
_CONFIGURED: Final = "configured"


class _Desk(Group):
    """Commands of the failure desk; with `--direct` those that need only the broker."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command of this name, from the desk or with `--direct`."""
        if ctx.params.get("is_direct"):
            direct: Group = load(_DIRECT)
            return direct.get_command(ctx, cmd_name)
        return super().get_command(ctx, cmd_name)


def _keep_url(context: click.Context, _parameter: click.Parameter, value: str | None) -> bool:
    if value is not None and value != _CONFIGURED:
        context.ensure_object(Given).settings["amqp_url"] = value
    return value is not None


@click.group(
    cls=_Desk,
    lazy={
        "groups": (f"{_HERE}.letters:groups", "Groups of failures with one cause, the latest first."),
        "ls": (f"{_HERE}.letters:list_letters", "Dead letters, the newest first."),
        "show": (f"{_HERE}.letters:show", "One letter in full, or one group."),
        "note": (f"{_HERE}.letters:note", "Write a note on a group."),
        "edit": (f"{_HERE}.edit:edit", "Edit a payload, and plan its redrive."),
        "plan": (f"{_HERE}.redrives:make_plan", "Plan a redrive and show what it would do; nothing is sent."),
        "start": (f"{_HERE}.redrives:start", "Start a plan, and follow it."),
        "progress": (f"{_HERE}.redrives:progress", "Progress of a redrive."),
        "outcomes": (f"{_HERE}.redrives:outcomes", "Letters of a redrive, with their outcomes."),
        "redrives": (f"{_HERE}.redrives:redrives", "Redrives, the latest plan first."),
        "pause": (f"{_HERE}.redrives:pause", "Pause a redrive."),
        "resume": (f"{_HERE}.redrives:resume", "Resume a redrive after a pause or a halt."),
        "cancel": (f"{_HERE}.redrives:cancel", "Cancel a redrive."),
        "discard": (f"{_HERE}.archive:discard", "Discard letters."),
        "archive": (f"{_HERE}.archive:archive", "Archive letters: discard, but keep for longer."),
        "restore": (f"{_HERE}.archive:restore", "Restore discarded or archived letters."),
        "export": (f"{_HERE}.letters:export", "Write full letters as JSON lines."),
        "audit": (f"{_HERE}.letters:audit", "Audit trail: who did what, when and why."),
    },
    epilog="waybill dlq groups --state open\n"
    "waybill dlq show $GROUP\n"
    "waybill dlq plan --group $GROUP --note 'crm is back'\n"
    "waybill dlq start 3\n"
    "\n"
    "When ledger or gateway are down:\n"
    "waybill dlq --direct amqp://admin@broker/ ls\n"
    "waybill dlq --direct configured redrive --service sync --limit 5",
)
@click.option(
    "--direct",
    "is_direct",
    metavar="AMQP_URL",
    callback=_keep_url,
    help="If ledger or gateway are down: `ls` and `redrive` directly at the broker. Other users of this "
    "machine can see a password here: `configured` takes the URL from WAYBILL_AMQP_URL or `amqp_url` in the "
    "configuration file.",
)
def dlq(**_parameters: Any) -> None:
    """Works on dead letters: tasks that failed for good."""
