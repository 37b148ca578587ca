"""`make up` as tests run it: several at once, each on ports of its own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waybill_testkit.eventually import eventually
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


@contextmanager
def stack_up(folder: Path, patience: float, *, amqp_url: str | None = None) -> Iterator[None]:
    """A stack that is up; at the end it is stopped as by Ctrl-C, and must end without an error.

    Args:
        folder: its working directory; its output is in `up.log`.
        patience: seconds for its start, and for its end.
        amqp_url: of its broker; None: it starts one.
    """
    own = {name: value for name, value in os.environ.items() if name != "AMQP_URL"}
    broker = {} if amqp_url is None else {"AMQP_URL": amqp_url}
    output = folder / "up.log"
    with (
        output.open("w") as log,
        subprocess.Popen(
            up_command(), cwd=folder, env=own | {"NO_COLOR": "1"} | broker, stdout=log, stderr=log
        ) as supervisor,
    ):
        try:
            asyncio.run(eventually(lambda: is_up(supervisor, output), patience))
            yield
        finally:
            supervisor.send_signal(signal.SIGINT)
            assert supervisor.wait(patience) == 0
