"""Who watches tasks learns all that happens, once, though gateway and status service are killed meanwhile."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest

from tests.crash.stack import CrashStack, running
from waybill import Client
from waybill.client import Task, TaskEvent
from waybill.kinds import EmailRequested
from waybill_testkit.broker import Broker

#: Tasks before the first kill, between the two, and after the last.
EACH_TIME = 6
#: Seconds for which the client endures a killed gateway.
OUTAGE = 240.0
#: What services report of a mail that is sent at once.
REPORTED = ["task.started", "task.completed"]


@pytest.fixture(scope="module")
def stack(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashStack]:
    with running(tmp_path_factory.mktemp("watchers"), broker, 1) as [stack]:
        yield stack


def submit(client: Client, folder: Path) -> list[str]:
    """Ids of new tasks."""
    mails = [
        EmailRequested(
            to=f"ann.{number}@example.com", subject=f"Hello from {folder.name}", text="Good morning."
        )
        for number in range(EACH_TIME)
    ]
    return [accepted.id for accepted in client.submit_many(mails)]


def followed(url: str, task_id: str) -> list[TaskEvent]:
    """The events of a task, until it has ended."""
    with Client(url, deadline=OUTAGE) as client:
        return list(client.events(task_id))


def waited(url: str, task_id: str) -> Task:
    """A task, once it has ended."""
    with Client(url, deadline=OUTAGE) as client:
        return client.wait(task_id)


def first_of_all(url: str, number: int) -> list[TaskEvent]:
    """The first events of all tasks."""
    with Client(url, deadline=OUTAGE) as client:
        return list(islice(client.events(last_event_id="0"), number))


@pytest.mark.parametrize("killed", ["gateway", "status"])
def test_a_watcher_learns_all_of_it_once(stack: CrashStack, tmp_path: Path, killed: str) -> None:
    url = str(stack.gateway.base_url)
    process = stack.processes[killed]
    with Client(url, deadline=OUTAGE) as client, ThreadPoolExecutor(64) as pool:
        before = len(first_before(client))
        number = before + 3 * EACH_TIME * len(REPORTED)
        all_events = pool.submit(first_of_all, url, number)
        streams: dict[str, Future[list[TaskEvent]]] = {}
        waits: dict[str, Future[Task]] = {}

        def go_on() -> None:
            tasks = submit(client, tmp_path)
            streams.update({task_id: pool.submit(followed, url, task_id) for task_id in tasks})
            waits.update({task_id: pool.submit(waited, url, task_id) for task_id in tasks})

        for _ in range(2):
            go_on()
            # Amid the streams: some of these tasks have ended, and others have not.
            next(iter(streams.values())).result(OUTAGE)
            process.kill()
            process.start()
            process.wait_ready()
        go_on()

        for task_id, stream in streams.items():
            events = stream.result(OUTAGE)
            assert [event.type for event in events] == REPORTED
            assert [event.type for event in client.timeline(task_id).events] == ["task.accepted", *REPORTED]
            assert waits[task_id].result(OUTAGE).state == "completed"
        seen = all_events.result(OUTAGE)

    assert len({event.id for event in seen}) == number
    of_these = [(event.task_id, event.type) for event in seen if event.task_id in streams]
    assert sorted(of_these) == sorted((task_id, type_) for task_id in streams for type_ in REPORTED)


def first_before(client: Client) -> list[str]:
    """What was reported of tasks before."""
    return [
        event.type
        for task in client.list()
        for event in client.timeline(task.id).events
        if event.type != "task.accepted"
    ]
