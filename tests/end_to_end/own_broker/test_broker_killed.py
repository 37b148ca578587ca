"""The stack's own broker is killed while callers post: it is started again, and all completes."""

import json
import os
import signal
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.stack import PATIENCE, POLL_SECONDS, Stack
from waybill_contracts.registry import built_in_registry
from waybill_testkit.broker.installation import find_server
from waybill_testkit.broker.server import survives_a_kill
from waybill_testkit.eventually import eventually
from waybill_worker.broker import topology

POSTS = 40
#: Of each process, for one outage: what each of its connections and channels says, once.
MOST_LINES = 40


async def test_a_killed_broker_is_started_again_and_all_completes(stack: Stack) -> None:
    if find_server(os.environ.get("PATH", os.defpath)) is None:
        pytest.skip("needs a broker that is a process of ours: an installed rabbitmq-server")
    async with httpx.AsyncClient(base_url=stack.places()["gateway"], timeout=60, trust_env=False) as client:
        before = {name: len(log.splitlines()) for name, log in stack.logs().items()}
        folder = stack.folder / ".waybill" / "up" / "broker"
        queues = [queue.name for queue in topology.queues(built_in_registry())]
        await eventually(lambda: survives_a_kill(folder, queues))
        os.kill(broker_of(folder), signal.SIGKILL)
        tasks = []
        for number in range(POSTS):
            mail = {"to": f"ann{number}@example.com", "subject": "Hello", "text": "Still there?"}
            answer = await client.post("/v1/emails", json=mail)
            assert answer.status_code == 202
            tasks.append(answer.json()["id"])

        async def all_completed() -> bool:
            states = [(await client.get(f"/v1/tasks/{task}")).json()["state"] for task in tasks]
            return states == ["completed"] * POSTS

        await eventually(all_completed, PATIENCE, every=POLL_SECONDS)
    assert "the broker has ended; it is started again" in (stack.folder / "up.log").read_text()
    for name, log in stack.logs().items():
        lines = [json.loads(line) for line in log.splitlines()[before[name] :] if line[0] == "{"]
        # What each task says of itself is no complaint.
        complaints = Counter(line["event"][:60] for line in lines if line["level"] in {"warning", "error"})
        assert complaints.total() <= MOST_LINES, (name, complaints)


def broker_of(folder: Path) -> int:
    """The process of the broker whose folder this is."""
    for entry in Path("/proc").iterdir():
        try:
            name = (entry / "comm").read_text().strip()
            if name == "beam.smp" and (entry / "cwd").resolve() == folder.resolve():
                return int(entry.name)
        except (FileNotFoundError, NotADirectoryError, PermissionError, ProcessLookupError):
            continue
    raise LookupError(f"no broker runs in {folder}")
