"""`waybill dlq`: the failure desk, or, when all else is down, the dead-letter queues themselves."""

from typing import Any, Final

import click

from waybill_cli.session.options import Given, Group, load

_HERE: Final = "waybill_cli.commands.dlq"
_DIRECT: Final = f"{_HERE}.direct:direct"
#: Instead of a URL: the broker that the configuration names.
_CONFIGURED: Final = "configured"


class _Desk(Group):
    """The desk's commands; with `--direct` those that need nothing but the broker."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, for the way that was chosen."""
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
        "groups": (f"{_HERE}.letters:groups", "What failed alike, the latest first."),
        "ls": (f"{_HERE}.letters:list_letters", "Dead letters, the newest first."),
        "show": (f"{_HERE}.letters:show", "A letter whole, or a group."),
        "note": (f"{_HERE}.letters:note", "Write down what is to be remembered of a group."),
        "edit": (f"{_HERE}.edit:edit", "Mend a payload, and plan its redrive."),
        "plan": (f"{_HERE}.redrives:make_plan", "Plan a redrive: what would happen? Nothing is sent."),
        "start": (f"{_HERE}.redrives:start", "Start a plan, and follow it."),
        "progress": (f"{_HERE}.redrives:progress", "How a redrive stands."),
        "outcomes": (f"{_HERE}.redrives:outcomes", "The letters of a redrive, and how each went."),
        "redrives": (f"{_HERE}.redrives:redrives", "Redrives, the latest plan first."),
        "pause": (f"{_HERE}.redrives:pause", "Send nothing more for now."),
        "resume": (f"{_HERE}.redrives:resume", "Go on after a pause or a halt."),
        "cancel": (f"{_HERE}.redrives:cancel", "End a redrive."),
        "discard": (f"{_HERE}.archive:discard", "Put away what nobody wants."),
        "archive": (f"{_HERE}.archive:archive", "Put away what is to be kept."),
        "restore": (f"{_HERE}.archive:restore", "Make dead again what was put away."),
        "export": (f"{_HERE}.letters:export", "Whole letters as JSON lines."),
        "audit": (f"{_HERE}.letters:audit", "Who did what, when and why."),
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
    help="When ledger or gateway are down: `ls` and `redrive` straight from the broker. Others on this "
    "machine can see a password here: `configured` takes the URL from WAYBILL_AMQP_URL or `amqp_url` in the "
    "configuration file.",
)
def dlq(**_parameters: Any) -> None:
    """Works on what failed for good."""
