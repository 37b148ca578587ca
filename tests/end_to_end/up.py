"""`make up` as tests run it: several at once, each on ports of its own."""

import subprocess
import sys
from pathlib import Path

from waybill_testkit.machine import free_ports


def up_command() -> list[str]:
    """The command; without ports, two that start at once would both choose the usual ones."""
    options = ("--gateway-port", "--mailbox-port", "--crm-port")
    ports = [f"{option}={port}" for option, port in zip(options, free_ports(len(options)), strict=True)]
    return [sys.executable, "-m", "waybill_devstack", "up", *ports]


def is_up(supervisor: subprocess.Popen[bytes] | subprocess.Popen[str], output: Path) -> bool:
    """Whether the stack is up.

    Raises:
        AssertionError: it ended instead; the message has the end of its output.
    """
    said = output.read_text()
    assert supervisor.poll() is None, said[-3000:]
    return "Waybill is up." in said
