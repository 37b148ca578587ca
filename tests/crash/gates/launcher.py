"""Launches the processes of a stack, with gates around their steps: see `steps` and `gate`.

Each process is a fork of this one, which has imported everything beforehand: a process that is killed is back
within milliseconds, where a new interpreter would be busy importing for seconds. Orders come on stdin, one
JSON object a line (see `Order`); each is answered on stdout with the process id.
"""

import json
import os
import runpy
import signal
import sys
import threading
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tests.crash.gates.gate import Gate
from tests.crash.gates.steps import STEPS, install, shorten_waits
from waybill_testkit.machine.lifeline import die_with_parent

#: What the processes consist of; imported here once instead of in each of them.
BEFOREHAND = (
    "waybill_gateway.app",
    "waybill_status.app",
    "waybill_sync.app",
    "waybill_email.app",
    "waybill_images.app",
    "waybill_devstack.mailbox.__main__",
    "waybill_devstack.crm.__main__",
    "waybill_cli.main",
    "waybill.commands.run",
    "waybill.commands.relay",
    "tests.crash.outbox.shop",
    "tests.crash.team.orders",
)


@dataclass(frozen=True, slots=True)
class Order:
    """A process to run: as `python -m module arguments` with `environment` would."""

    module: str
    arguments: list[str]
    environment: dict[str, str]
    #: Its standard output and error are appended to this file.
    log: str
    #: Folder of its gate.
    gate: str


def main() -> None:
    """Forks a process for each order, until stdin is closed."""
    for module in BEFOREHAND:
        import_module(module)
    shorten_waits()
    if threading.active_count() > 1:
        raise RuntimeError(f"an import has started threads, which no fork has: {threading.enumerate()}")
    # The kernel reaps the processes: their exit codes are not needed.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    tie = die_with_parent()
    for line in sys.stdin:
        order = Order(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            if tie is not None:
                tie()
            _become(order)
            return
        os.setpgid(pid, pid)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _become(order: Order) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, theirs in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(ours, theirs)
    os.environ.update(order.environment)
    sys.argv = [order.module, *order.arguments]
    if order.module in STEPS:
        install(Gate(Path(order.gate)), order.module)
    runpy.run_module(order.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
