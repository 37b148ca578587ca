"""`waybill dlq`: the failure desk, or, when all else is down, the dead-letter queues themselves."""

from typing import Any, Final

import click

from waybill_cli.options import Given, Group, load

_DIRECT: Final = "waybill_cli.commands.direct:direct"
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
    epilog="waybill dlq --direct amqp://admin@broker/ ls\n"
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
