"""A stack in a process of its own, and what a test asks of it from outside."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from waybill_testkit.machine import free_ports

#: Seconds that anything may take on a busy machine; nothing here waits that long when all is well.
PATIENCE = 240.0
#: Seconds between two looks: each has a process work, log and perhaps trace what it has been asked.
POLL_SECONDS = 0.3


def eventually(look: Callable[[], Any], what: str) -> Any:
    """Polls `look` until it returns something true; returns that."""
    deadline = monotonic() + PATIENCE
    while monotonic() < deadline:
        if seen := look():
            return seen
        sleep(POLL_SECONDS)
    pytest.fail(f"waited {PATIENCE:g} s in vain for {what}")


class Stack:
    """A running stack, from outside."""

    def __init__(self, folder: Path, supervisor: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.file = folder / ".waybill" / "stack.json"
        self.supervisor = supervisor
        places = self.places()
        self.gateway = httpx.Client(base_url=places["gateway"], timeout=PATIENCE, trust_env=False)
        self.mailbox = httpx.Client(base_url=places["mailbox"], timeout=PATIENCE, trust_env=False)

    def places(self) -> dict[str, Any]:
        places: dict[str, Any] = json.loads(self.file.read_text())
        return places

    def pids(self) -> dict[str, int]:
        return {process["name"]: process["pid"] for process in self.places()["processes"]}

    def post_mail(self, to: str, **more: object) -> str:
        mail = {"to": to, "subject": "Hello", "text": "It works."} | more
        answer = self.gateway.post("/v1/emails", json=mail)
        assert answer.status_code == 202, answer.text
        task_id: str = answer.json()["id"]
        return task_id

    def task(self, task_id: str) -> dict[str, Any]:
        task: dict[str, Any] = self.gateway.get(f"/v1/tasks/{task_id}").raise_for_status().json()
        return task

    def completed(self, task_id: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            task = self.task(task_id)
            return task if task["state"] == "completed" else None

        task: dict[str, Any] = eventually(look, f"task {task_id} to be completed")
        return task

    def mails(self, to: str) -> list[dict[str, Any]]:
        return [mail for mail in self.mailbox.get("/api/messages").json() if to in mail["to"]]

    def logs(self) -> dict[str, str]:
        """What each process has said."""
        return {path.stem: path.read_text() for path in (self.folder / ".waybill/up/logs").glob("*.log")}

    def interrupt(self) -> None:
        """Presses Ctrl-C, which stops all of it in order."""
        pids = self.pids()
        self.supervisor.send_signal(signal.SIGINT)
        assert self.supervisor.wait(PATIENCE) == 0
        assert [name for name, pid in pids.items() if Path(f"/proc/{pid}").exists()] == []
        assert not self.file.exists()

    def close(self) -> None:
        self.gateway.close()
        self.mailbox.close()


@contextmanager
def up(folder: Path, amqp_url: str | None = None) -> Iterator[Stack]:
    """The stack of `make up`, on ports of its own; at the end Ctrl-C must stop all of it.

    Args:
        folder: its working directory.
        amqp_url: of its broker; None: it starts one.
    """
    # Without ports, two that start at once would both choose the usual ones.
    options = ("--gateway-port", "--mailbox-port", "--crm-port")
    ports = [f"{option}={port}" for option, port in zip(options, free_ports(len(options)), strict=True)]
    command = [sys.executable, "-m", "waybill_devstack", "up", *ports]
    with started(folder, command, {} if amqp_url is None else {"AMQP_URL": amqp_url}) as stack:
        yield stack
        stack.interrupt()


@contextmanager
def started(
    folder: Path, command: Sequence[str], environment: Mapping[str, str], stdin: str = ""
) -> Iterator[Stack]:
    """A stack that says in `up.log` when it is up; `stdin` is its standard input."""
    own = {name: value for name, value in os.environ.items() if name != "AMQP_URL"}
    output = folder / "up.log"
    with (
        output.open("w") as log,
        subprocess.Popen(
            command,
            cwd=folder,
            env={**own, "NO_COLOR": "1", **environment},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
        ) as supervisor,
    ):
        try:
            assert supervisor.stdin is not None
            supervisor.stdin.write(stdin)
            supervisor.stdin.close()
            eventually(lambda: _is_up(supervisor, output), "the stack to be up")
            with closing(Stack(folder, supervisor)) as stack:
                yield stack
        finally:
            if supervisor.poll() is None:
                supervisor.send_signal(signal.SIGINT)
                supervisor.wait(PATIENCE)


def _is_up(supervisor: subprocess.Popen[str], output: Path) -> bool:
    said = output.read_text()
    assert supervisor.poll() is None, said[-3000:]
    return "Waybill is up." in said
