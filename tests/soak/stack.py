"""The stack that is soaked: the one of `make up`, with its supervisor, on a broker that can be harmed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.crash.ledger_file import LedgerFile
from tests.crash.stack import PATIENCE, NotInTimeError, until
from waybill_devstack.stack.stackfile import read_stackfile
from waybill_testkit.broker import Broker

#: Calls to the gateway that wait for their answers at once.
CONNECTIONS = 200


class SoakStack:
    """A stack that is up."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self._file = folder / ".waybill" / "stack.json"
        self.broker = broker
        places = read_stackfile(self._file)
        self.state = places.state
        self.ledger = LedgerFile(places.state / "ledger.db")
        self.objects = places.state / "objects"
        limits = httpx.Limits(max_connections=CONNECTIONS)
        self.gateway = httpx.Client(base_url=places.gateway, timeout=PATIENCE, trust_env=False, limits=limits)
        self.mailbox = httpx.Client(base_url=places.mailbox, timeout=PATIENCE, trust_env=False)
        self.crm = httpx.Client(base_url=places.crm, timeout=PATIENCE, trust_env=False)

    def pid(self, name: str) -> int | None:
        """The process of that name, if it runs just now."""
        for process in read_stackfile(self._file).processes:
            if process.name == name:
                return process.pid
        return None

    def kill(self, name: str) -> None:
        """Ends a process at once, with what it has started; its supervisor starts it again."""
        pid = until(lambda: self.pid(name), f"{name} to run, so that it can be killed")
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    def database(self, name: str) -> Path:
        """The database that a process writes to."""
        own = self.state / f"inbox-{name}.db"
        return own if own.exists() else self.state / "ledger.db"

    def close(self) -> None:
        """Closes the connections."""
        for client in (self.gateway, self.mailbox, self.crm):
            client.close()


@contextmanager
def up(folder: Path, broker: Broker) -> Iterator[SoakStack]:
    """Starts the stack as a user does, and stops it at the end of the block.

    Raises:
        NotInTimeError: it did not come up; the message has the end of its output.
    """
    log = folder / "up.log"
    environment = os.environ | {"AMQP_URL": broker.amqp_url, "NO_COLOR": "1"}
    command = [sys.executable, "-m", "waybill_devstack", "up"]
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output) as supervisor,
    ):
        stack = None
        try:

            def is_up() -> bool:
                if supervisor.poll() is not None:
                    raise NotInTimeError(f"the stack did not come up:\n{log.read_text()[-3000:]}")
                return "Waybill is up." in log.read_text()

            until(is_up, f"the stack to be up; its log is {log}")
            stack = SoakStack(folder, broker)
            yield stack
        finally:
            if stack is not None:
                stack.close()
            supervisor.send_signal(signal.SIGINT)
            supervisor.wait(PATIENCE)
