"""A gateway as a process of its own, reached over HTTP."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import httpx

from waybill_testkit.machine import ForkedProcess

#: No server listens on port 1 of the loopback.
NO_BROKER = "amqp://guest:guest@127.0.0.1:1/"
#: Seconds until a gateway answers.
PATIENCE = 60.0
#: Seconds for one answer.
ANSWER_SECONDS = 2.0


@dataclass(frozen=True)
class Running:
    """A gateway that answers."""

    pid: int
    port: int
    log: Path

    @property
    def address(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def gateway(folder: Path, ledger_url: str, port: int = 0, /, **settings: str) -> Iterator[Running]:
    """Runs a gateway as a process, without authentication.

    Args:
        folder: for its objects and its log.
        ledger_url: a ledger with its schema.
        port: on loopback; 0: a free one.
        settings: more of them, without their prefix.
    """
    with socket.create_server(("127.0.0.1", port), backlog=100) as listener:
        environment = os.environ | {
            "WAYBILL_LEDGER_URL": ledger_url,
            "WAYBILL_OBJECT_STORE_URL": f"file://{folder}/objects",
            "WAYBILL_AMQP_URL": NO_BROKER,
            "WAYBILL_SYNC_TARGETS": '["crm"]',
            "WAYBILL_GATEWAY_AUTH": "open",
            "WAYBILL_DRAIN_SECONDS": "0",
            **{f"WAYBILL_{name.upper()}": value for name, value in settings.items()},
        }
        log = folder / "gateway.log"
        process = ForkedProcess(
            "waybill_gateway", env=environment, log=log, sockets={"WAYBILL_LISTENER_FD": listener}
        )
        try:
            running = Running(process.pid, listener.getsockname()[1], log)
            _until_alive(running.address, process)
            yield running
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _until_alive(address: str, process: ForkedProcess) -> None:
    deadline = monotonic() + PATIENCE
    while process.poll() is None and monotonic() < deadline:
        try:
            # Our listener takes connections in any case: also of a process that has ended at once.
            # To read the system's certificates each time takes longer than the question.
            answer = httpx.get(
                f"{address}/healthz",
                timeout=ANSWER_SECONDS,
                trust_env=False,
                verify=False,  # noqa: S501 - by HTTP
            )
            if answer.is_success:
                return
        except httpx.TransportError:
            sleep(0.05)
    raise RuntimeError("the gateway did not come up; its log says why")
