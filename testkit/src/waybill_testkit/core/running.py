"""Gateway and status service in processes of their own, on a private broker and a ledger in SQLite."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from waybill_contracts.privacy import Keyring
from waybill_testkit.broker import private_broker
from waybill_testkit.empty_ledger import empty_ledger
from waybill_testkit.machine import LOOPBACK, die_with_parent, free_ports, in_containers

#: Seconds that a process may take to become ready, and to end.
READY_SECONDS: Final = 90.0
END_SECONDS: Final = 15.0
#: Characters of a log in an error.
TAIL: Final = 4000


class CoreError(Exception):
    """A process of the core did not start; the text has the end of its log."""


@dataclass(frozen=True, slots=True)
class Core:
    """A running core."""

    amqp_url: str
    #: Of the gateway.
    url: str
    #: The key with which sensitive fields are sealed.
    sealing_key: str
    #: Where uploads and results are stored.
    object_store_url: str
    #: Has the logs of the processes.
    folder: Path


@contextmanager
def running_core(
    folder: Path,
    *,
    settings: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Iterator[Core]:
    """A core that runs for the time of the block, with a virtual host of its own at the broker.

    The broker is the one of AMQP_URL, an installed server, one from the system's package manager, or Docker:
    see `waybill_testkit.broker.private_broker`.

    Args:
        folder: an absolute path of an existing folder for data and logs.
        settings: more `WAYBILL_…` variables of both processes.
        say: called with a line of text before a step that takes long.

    Raises:
        BrokerError: no way leads to a broker.
        CoreError: a process did not start.
    """
    with ExitStack() as stack:
        broker = stack.enter_context(
            private_broker(
                folder / "broker",
                amqp_url=os.environ.get("AMQP_URL"),
                management_url=os.environ.get("AMQP_MANAGEMENT_URL"),
                in_container=in_containers(),
                disposable=True,
                say=say,
            )
        )
        amqp_url = broker.vhost_url(stack.enter_context(broker.vhost()))
        (folder / "ledger.db").write_bytes(empty_ledger())
        port, health_port = free_ports(2)
        core = Core(
            amqp_url,
            f"http://{LOOPBACK}:{port}",
            Keyring.new_key(),
            f"file://{folder}/objects",
            folder,
        )
        every = {
            "WAYBILL_AMQP_URL": amqp_url,
            "WAYBILL_LEDGER_URL": f"sqlite:///{folder}/ledger.db",
            "WAYBILL_OBJECT_STORE_URL": core.object_store_url,
            "WAYBILL_SEALING_KEYS": core.sealing_key,
            "WAYBILL_PERSONS_KEY": Keyring.new_key(),
            "WAYBILL_GRACE_SECONDS": "2",
            "WAYBILL_DRAIN_SECONDS": "0.1",
            **(settings or {}),
        }
        status = every | {"WAYBILL_HEALTH_PORT": str(health_port)}
        gateway = every | {"WAYBILL_HOST": LOOPBACK, "WAYBILL_PORT": str(port)}
        status_url = f"http://{LOOPBACK}:{health_port}"
        stack.enter_context(_process("waybill_status", status, f"{status_url}/readyz", folder))
        stack.enter_context(_process("waybill_gateway", gateway, f"{core.url}/readyz", folder))
        yield core


@contextmanager
def _process(module: str, env: Mapping[str, str], ready_url: str, folder: Path) -> Iterator[None]:
    log = folder / f"{module}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - a module of ours
            [sys.executable, "-m", module],
            env=os.environ | env,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - it only makes a system call
        )
        try:
            _wait_until_ready(process, module, ready_url, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], module: str, ready_url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            # By HTTP: to read the system's certificates each time takes longer than the question.
            if httpx.get(
                ready_url,
                timeout=5,
                trust_env=False,
                verify=False,  # noqa: S501 - as said
            ).is_success:
                return
        except httpx.TransportError:  # it does not listen yet
            pass
        time.sleep(0.05)
    how = "did not become ready" if process.returncode is None else f"ended with {process.returncode}"
    raise CoreError(f"{module} {how}:\n{log.read_text(errors='replace')[-TAIL:]}")
