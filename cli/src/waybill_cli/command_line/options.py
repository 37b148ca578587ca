"""Base classes of groups and commands: options accepted anywhere, examples in the help, lazy loading."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

import click

#: The verb of every listing, and its alias.
_LS: Final = "ls"
_LIST: Final = "list"


@dataclass(slots=True)
class Given:
    """Values of the shared options, from any position on the command line."""

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
            help="The broker, for commands that bypass the gateway [env: WAYBILL_AMQP_URL].",
        ),
        option(
            "--api-key",
            metavar="KEY",
            help="API key; other users of this machine can see it here, so prefer [env: WAYBILL_API_KEY].",
        ),
        option(
            "--ca-file",
            metavar="FILE",
            help="PEM file of the authorities trusted for https:// and amqps://, instead of the system's "
            "[env: WAYBILL_CA_FILE].",
        ),
        option("--actor", metavar="NAME", help="Your name for the audit trail [env: WAYBILL_ACTOR]."),
        option(
            "--config",
            metavar="FILE",
            help="Configuration file [env: WAYBILL_CONFIG; default: ~/.config/waybill/config.toml].",
        ),
    ]


class _Sharing(click.Command):
    """Base of commands and groups that accept the shared options."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Returns its own parameters and the shared ones."""
        own = super().get_params(ctx)
        return [*own[:-1], *_shared(), *own[-1:]]  # --help stays last


class Command(_Sharing):
    """A command that accepts the shared options and shows its epilog as examples."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples unchanged."""
        del ctx
        _examples(self.epilog, formatter)


class Group(_Sharing, click.Group):
    """A group that loads a command only when it is called, so that help is fast.

    It accepts the shared options, for the command that follows, and `list` as an alias of `ls`.

    Args:
        lazy: maps the name of each command to `(module:attribute, short help)`.
    """

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names, in the order in which they were added."""
        del ctx
        return [*self._lazy, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command of this name; loads it if needed."""
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
        """Writes the examples unchanged."""
        del ctx
        _examples(self.epilog, formatter)


def load(target: str) -> Any:
    """Imports the command or group at `module:attribute`."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _examples(text: str | None, formatter: click.HelpFormatter) -> None:
    if not text:
        return
    with formatter.section("Examples"):
        for line in text.splitlines():
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n" if line else "\n")
