import base64
from datetime import timedelta

import pytest
from sqlalchemy import Engine, update

from waybill_contracts.registry import built_in_registry
from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_ledger import (
    BadCursorError,
    NewTask,
    Page,
    Submission,
    TaskFilter,
    accept,
    apply_events,
    count_tasks,
    get_task,
    get_timeline,
    list_tasks,
    new_task_id,
)
from waybill_ledger.access import REDACTED, MaskedPayload, masked_payload
from waybill_ledger.schema.tables import TASKS
from waybill_testkit.samples import NOON, new_task, reported, sync_event, user_event

ALL = TaskFilter()


def accepted(engine: Engine, *tasks: NewTask) -> None:
    with engine.begin() as connection:
        accept(connection, [Submission(task) for task in tasks])


def listed(engine: Engine, wanted: TaskFilter = ALL, limit: int = 100, cursor: str | None = None) -> Page:
    with engine.begin() as connection:
        return list_tasks(connection, wanted, limit=limit, cursor=cursor)


def ids(page: Page) -> list[str]:
    return [task.id for task in page.tasks]


def test_an_unknown_task_is_none(engine: Engine) -> None:
    with engine.begin() as connection:
        assert get_task(connection, new_task_id()) is None
        assert get_timeline(connection, new_task_id()) == []


def test_the_newest_come_first(engine: Engine) -> None:
    tasks = [new_task() for _ in range(5)]
    accepted(engine, *tasks)

    assert ids(listed(engine)) == [task.id for task in reversed(tasks)]


def test_pages_hold_everything_once_while_tasks_come_in(engine: Engine) -> None:
    tasks = [new_task() for _ in range(25)]
    accepted(engine, *tasks)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = listed(engine, limit=10, cursor=cursor)
        seen += ids(page)
        accepted(engine, new_task(), new_task())  # newer than all: not part of what is being paged
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == [task.id for task in reversed(tasks)]


@pytest.mark.parametrize("tenant", [None, "default", "acme"])
def test_pages_of_a_service_have_each_of_its_tasks_once(engine: Engine, tenant: str | None) -> None:
    users = [new_task(user_event(), tenant=owner) for owner in ("default", "acme") * 3]
    accepted(engine, *users, *(new_task() for _ in range(3)))
    seen: list[str] = []
    cursor = None
    while True:
        page = listed(engine, TaskFilter(service="sync", tenant=tenant), limit=2, cursor=cursor)
        seen += ids(page)
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == [task.id for task in reversed(users) if tenant in {None, task.tenant}]


@pytest.mark.parametrize(("tasks", "more"), [(9, False), (10, False), (11, True)])
def test_a_cursor_only_where_there_is_more(engine: Engine, tasks: int, more: bool) -> None:  # noqa: FBT001 - a test's parameter
    accepted(engine, *(new_task() for _ in range(tasks)))

    assert (listed(engine, limit=10).next_cursor is not None) is more


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize("cursor", ["", "!", "abc", "ä", cursor_of("'; DROP"), cursor_of("\x00"), "A" * 999])
def test_a_cursor_that_is_none_of_ours_is_refused(engine: Engine, cursor: str) -> None:
    with pytest.raises(BadCursorError, match="cursor"):
        listed(engine, cursor=cursor)


def test_each_filter_alone_and_all_together(engine: Engine) -> None:
    mail = new_task(created_at=NOON, about="ann@example.test")
    user = new_task(user_event(), created_at=NOON + timedelta(hours=1), correlation_id="order-7")
    sync = new_task(sync_event(), created_at=NOON + timedelta(hours=2), about="contacts/7")
    accepted(engine, mail, user, sync)
    with engine.begin() as connection:
        apply_events(connection, [reported(LifecycleType.COMPLETED, mail.id)])
    wanted = {
        TaskFilter(state=State.COMPLETED): [mail.id],
        TaskFilter(state=State.PENDING): [sync.id, user.id],
        TaskFilter(kind="user.created"): [user.id],
        TaskFilter(service="sync"): [sync.id, user.id],
        TaskFilter(service="email"): [user.id, mail.id],
        TaskFilter(service="images"): [],
        TaskFilter(since=NOON + timedelta(hours=1)): [sync.id, user.id],
        TaskFilter(until=NOON + timedelta(hours=1)): [mail.id],
        TaskFilter(q="ANN@example"): [user.id, mail.id],
        TaskFilter(q="order-7"): [user.id],
        TaskFilter(q="rder-7"): [],
        TaskFilter(q="tacts/7"): [sync.id],
        TaskFilter(q=sync.id[:-1]): [sync.id],
        TaskFilter(
            state=State.PENDING,
            kind="user.created",
            service="email",
            since=NOON,
            until=NOON + timedelta(days=1),
            q="ann",
        ): [user.id],
    }

    assert {asked: ids(listed(engine, asked)) for asked in wanted} == wanted


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("100%", 1),
        ("%", 1),
        ("a_b", 1),
        ("_", 1),
        ("\\", 1),
        ("'", 1),
        ("/", 1),
        ("ü", 1),
        ("axb", 0),
        ("\0", 0),
    ],
)
def test_words_are_searched_for_as_they_are(engine: Engine, q: str, found: int) -> None:
    accepted(
        engine, *(new_task(about=about) for about in ("100% of", "a_b", "back\\slash", "it's /so/", "ü"))
    )

    assert len(listed(engine, TaskFilter(q=q)).tasks) == found


def test_tasks_are_counted_up_to_a_limit(engine: Engine) -> None:
    accepted(engine, *(new_task() for _ in range(5)), new_task(user_event()))
    with engine.begin() as connection:
        assert count_tasks(connection, ALL, most=100) == 6
        assert count_tasks(connection, ALL, most=4) == 4
        assert count_tasks(connection, TaskFilter(service="sync"), most=4) == 1


def test_a_payload_is_masked_for_its_own_tenant_alone(engine: Engine) -> None:
    task = new_task(user_event(), tenant="acme")
    accepted(engine, task)
    registry = built_in_registry()
    with engine.begin() as connection:
        seen = masked_payload(connection, task.id, registry=registry, tenant="acme")
        assert seen is not None
        assert seen.payload == {"user_id": "u1", "email": REDACTED, "name": REDACTED}
        assert seen.dataschema == "urn:waybill:user.created:v1"
        assert masked_payload(connection, task.id, registry=registry, tenant="default") is None
        connection.execute(update(TASKS).values(payload=None))
        gone = masked_payload(connection, task.id, registry=registry)
        assert gone == MaskedPayload(None, None, None)


def test_a_search_can_be_limited_to_the_newest_tasks(engine: Engine) -> None:
    tasks = [new_task(about=f"order {number}") for number in range(6)]
    others = [new_task(tenant="acme", about="order a") for _ in range(3)]
    accepted(engine, *tasks, *others)
    assert ids(listed(engine, TaskFilter(q="order", newest=5))) == [
        each.id for each in reversed((*tasks[4:], *others))
    ]
    assert len(ids(listed(engine, TaskFilter(q="order", newest=2, tenant="acme")))) == 2
    assert len(ids(listed(engine, TaskFilter(q="order", newest=100)))) == 9
