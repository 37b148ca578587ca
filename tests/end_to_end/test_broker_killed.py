"""The stack's own broker is killed while callers post: it is started again, and all completes."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.up import stack_up
from waybill_contracts.registry import built_in_registry
from waybill_testkit.broker.installation import find_server
from waybill_testkit.broker.server import survives_a_kill
from waybill_testkit.eventually import eventually
from waybill_worker.broker import topology

PATIENCE = 240.0
POSTS = 40
#: Of each process, for one outage: what each of its connections and channels says, once.
MOST_LINES = 40


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Path]:
    if find_server(os.environ.get("PATH", os.defpath)) is None:
        pytest.skip("needs a broker that is a process of ours: an installed rabbitmq-server")
    with stack_up(tmp_path, PATIENCE):
        yield tmp_path


async def test_a_killed_broker_is_started_again_and_all_completes(stack: Path) -> None:
    places = json.loads((stack / ".waybill" / "stack.json").read_text())
    logs = sorted((stack / ".waybill" / "up" / "logs").glob("*.log"))
    async with httpx.AsyncClient(base_url=places["gateway"], timeout=60, trust_env=False) as client:
        before = {log: len(log.read_text().splitlines()) for log in logs}
        folder = stack / ".waybill" / "up" / "broker"
        queues = [queue.name for queue in topology.queues(built_in_registry())]
        await eventually(lambda: survives_a_kill(folder, queues))
        os.kill(broker_of(folder), signal.SIGKILL)
        for number in range(POSTS):
            mail = {"to": f"ann{number}@example.com", "subject": "Hello", "text": "Still there?"}
            assert (await client.post("/v1/emails", json=mail)).status_code == 202

        async def all_completed() -> bool:
            total = (await client.get("/v1/accounting")).json()["total"]
            return bool(total["accepted"] == total["completed"] == POSTS)

        await eventually(all_completed, PATIENCE)
    assert "the broker has ended; it is started again" in (stack / "up.log").read_text()
    for log in logs:
        lines = [json.loads(line) for line in log.read_text().splitlines()[before[log] :] if line[0] == "{"]
        # What each task says of itself is no complaint.
        complaints = Counter(line["event"][:60] for line in lines if line["level"] in {"warning", "error"})
        assert complaints.total() <= MOST_LINES, (log.name, complaints)


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
