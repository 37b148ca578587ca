"""The shape of the command line: groups, shared options, exit codes. Light, because help must be fast."""

from waybill_cli.command_line.exits import CommandError, Exit, Refused, Unreachable, not_installed
from waybill_cli.command_line.options import Command, Given, Group, load

__all__ = [
    "Command",
    "CommandError",
    "Exit",
    "Given",
    "Group",
    "Refused",
    "Unreachable",
    "load",
    "not_installed",
]
