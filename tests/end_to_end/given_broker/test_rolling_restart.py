"""Every process is restarted in turn under load: no failed request, nothing lost, nothing run again."""

import asyncio
import inspect
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.end_to_end.stack import PATIENCE, POLL_SECONDS, Stack
from waybill_testkit.eventually import eventually
from waybill_worker.consume import pipeline

#: What the addresses of these mails begin with.
CALLER = "caller-"
#: Callers at once, and the pause of each after a post and a read: some 20 of each a second.
CALLERS, PAUSE_SECONDS = 10, 0.4
#: Words of the log when a message is handed over again whose attempt was done, or is being run.
RUN_AGAIN = ("this attempt was run before", "another copy of this attempt", "dropping this copy")


@dataclass
class Seen:
    """What callers saw."""

    accepted: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def test_every_process_is_restarted_under_load_without_a_failed_request(stack: Stack) -> None:
    """Pains: see docs/pains.md.

    monitoring loses its history on restart (flower 542); a warm shutdown forgets or repeats work
    (celery 8417).
    """
    before = stack.logs()
    seen = asyncio.run(_restart_all_under_load(stack))

    assert all(words in inspect.getsource(pipeline) for words in RUN_AGAIN)  # that is how it says so
    assert seen.failures == []
    assert len(seen.accepted) > 100
    assert set(seen.answers) == {"202", "200"}
    logs = {name: log[len(before[name]) :] for name, log in stack.logs().items()}
    assert [name for name, log in logs.items() if any(words in log for words in RUN_AGAIN)] == []
    assert [name for name, log in logs.items() if "Traceback" in log] == []
    # What is not there is not restarted.
    ran = _restart(stack.folder, "nobody")
    assert ran.returncode == 1
    assert "cannot restart nobody: choose from status, " in ran.stdout


async def _restart_all_under_load(stack: Stack) -> Seen:
    places, before = stack.places(), stack.pids()
    earlier = await _account(places["gateway"])
    seen, enough = Seen(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(_call(places["gateway"], number, seen, enough))
        restarting = asyncio.create_task(asyncio.to_thread(_restart, stack.folder))
        ran = await restarting
        await asyncio.sleep(1)  # some calls more of the new processes
        enough.set()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    after = stack.pids()
    assert {name for name in before if before[name] == after[name]} == {"mailbox", "crm"}
    await _settled(places, earlier, seen)
    return seen


async def _call(gateway: str, number: int, seen: Seen, enough: asyncio.Event) -> None:
    """One caller, who keeps its connection as long as it may."""
    async with httpx.AsyncClient(base_url=gateway, timeout=60, trust_env=False) as client:
        posted = 0
        while not enough.is_set():
            mail = {"to": f"{CALLER}{number}-{posted}@example.com", "subject": "Hello", "text": "Again."}
            try:
                answer = await client.post("/v1/emails", json=mail)
                seen.answers[str(answer.status_code)] += 1
                task_id = answer.raise_for_status().json()["id"]
                seen.accepted.append(task_id)
                read = await client.get(f"/v1/tasks/{task_id}")
                seen.answers[str(read.status_code)] += 1
                read.raise_for_status()
            except httpx.HTTPError as error:
                seen.failures.append(repr(error))
            posted += 1
            await asyncio.sleep(PAUSE_SECONDS)


async def _account(gateway: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=gateway, timeout=60, trust_env=False, verify=False) as client:
        account: dict[str, Any] = (await client.get("/v1/accounting")).raise_for_status().json()
        return account


async def _settled(places: dict[str, Any], earlier: dict[str, Any], seen: Seen) -> None:
    """All completed, each at its first attempt and with one mail, and the account is balanced."""
    gateway = places["gateway"]

    async def account() -> dict[str, Any] | None:
        answer = await _account(gateway)
        completed = answer["total"]["completed"] - earlier["total"]["completed"]
        return answer if completed == len(seen.accepted) else None

    balance = await eventually(account, PATIENCE, every=POLL_SECONDS)
    assert balance["balanced"]
    assert balance["total"]["accepted"] - earlier["total"]["accepted"] == len(seen.accepted)
    async with httpx.AsyncClient(base_url=gateway, timeout=60, trust_env=False) as client:
        for task_id in seen.accepted:
            task = (await client.get(f"/v1/tasks/{task_id}/timeline")).json()
            assert [event["type"] for event in task["events"]] == [
                "task.accepted",
                "task.started",
                "task.completed",
            ]
        all_mails = (await client.get(f"{places['mailbox']}/api/messages")).json()
    mails = [mail for mail in all_mails if mail["to"][0].startswith(CALLER)]
    assert len({mail["message_id"] for mail in mails}) == len(mails) == len(seen.accepted)


def _restart(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "waybill_devstack", "restart", *names],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE * 2,
    )
