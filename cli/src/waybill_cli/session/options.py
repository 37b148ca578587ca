"""Groups and commands of one shape: shared options in any place, examples in the help, loaded when needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

import click

#: The verb for every listing, and what it may be called instead.
_LS: Final = "ls"
_LIST: Final = "list"


@dataclass(slots=True)
class Given:
    """What the command line said, wherever on it."""

    settings: dict[str, str] = field(default_factory=dict)
    as_json: bool = False


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    given = context.ensure_object(Given)
    if parameter.name == "as_json":
        given.as_json = given.as_json or value
    elif value is not None:
        given.settings[str(parameter.name)] = value


def _shared() -> list[click.Parameter]:
    def option(*names: str, **more: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_keep, **more)

    return [
        option("--json", "as_json", is_flag=True, help="JSON for programs: one document a line."),
        option("--url", metavar="URL", help="The gateway [env: WAYBILL_URL]."),
        option(
            "--amqp",
            "amqp_url",
            metavar="URL",
            help="The broker, for what goes past the gateway [env: WAYBILL_AMQP_URL].",
        ),
        option(
            "--api-key",
            metavar="KEY",
            help="Who you are to the gateway; others on this machine can see it here, so rather [env: "
            "WAYBILL_API_KEY].",
        ),
        option(
            "--ca-file",
            metavar="FILE",
            help="PEM with the authorities that https:// and amqps:// are trusted by, instead of the usual "
            "[env: WAYBILL_CA_FILE].",
        ),
        option("--actor", metavar="NAME", help="Who acts, for the audit trail [env: WAYBILL_ACTOR]."),
        option(
            "--config",
            metavar="FILE",
            help="Where these are kept [env: WAYBILL_CONFIG; default: ~/.config/waybill/config.toml].",
        ),
    ]


class _Sharing(click.Command):
    """What takes the shared options: before its own, and after."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters and the shared ones."""
        own = super().get_params(ctx)
        return [*own[:-1], *_shared(), *own[-1:]]  # --help stays the last


class Command(_Sharing):
    """A command that takes the shared options, and shows its epilog as examples."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples as they are."""
        del ctx
        _examples(self.epilog, formatter)


class Group(_Sharing, click.Group):
    """A group that loads a command when it is called, so that help is there at once.

    It takes the shared options as well, for the command that follows; and `list` where it has `ls`.

    Args:
        lazy: name of each command to `(module:attribute, short help)`.
    """

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which they were given."""
        del ctx
        return [*self._lazy, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, loaded if it is not."""
        if cmd_name == _LIST and cmd_name not in self._lazy:
            cmd_name = _LS
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        command: click.Command = load(self._lazy[cmd_name][0])
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without loading any."""
        del ctx
        rows = [(name, short) for name, (_, short) in self._lazy.items()]
        rows += [
            (name, each.get_short_help_str(80)) for name, each in self.commands.items() if not each.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples as they are."""
        del ctx
        _examples(self.epilog, formatter)


def load(target: str) -> Any:
    """The command or group at `module:attribute`."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _examples(text: str | None, formatter: click.HelpFormatter) -> None:
    if not text:
        return
    with formatter.section("Examples"):
        for line in text.splitlines():
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n" if line else "\n")
