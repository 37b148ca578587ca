"""`run_handler`: what a test of a handler sees."""

from pathlib import Path
from typing import Annotated

import pytest
from invoice_service import InvoicePaid, InvoiceRequested, Shop, close_month, remind, service
from pydantic import Field

from waybill import Attempt, DefinitionError, Event, FileRef, PermanentError, Service, Snooze, SyncAttempt
from waybill.testing import Progress, run_handler

REQUESTED = InvoiceRequested(order_id="17", email="ann@example.com", currency="CHF")


async def test_the_result_is_what_would_be_stored() -> None:
    shop = Shop("here")
    run = await run_handler(service, REQUESTED, resources=shop)

    assert run.result == {
        "shop": "here",
        "key": "01a22a70-ebad-7341-b3c3-5bd5253e4852.invoices",
        "currency": "CHF",
    }
    assert shop.calls == ["17"]
    assert (run.attempt.attempt, run.attempt.max_attempts, run.effect_begun) == (1, 5, False)


async def test_a_handler_that_returns_nothing_has_an_empty_result() -> None:
    assert (await run_handler(service, InvoicePaid(order_id="17"))).result == {}


async def test_a_task_is_called_with_its_arguments() -> None:
    run = await run_handler(service, remind.event("ann@example.com"), resources=Shop("here"), attempt=4)
    assert run.result == {"shop": "here", "days": 3, "attempt": 4, "letters": 15}

    run = await run_handler(service, close_month.event("2026-01", regions=("eu", "us")))
    assert run.result == {"month": "2026-01", "regions": ["eu", "us"]}


async def test_what_the_handler_raises_is_raised() -> None:
    with pytest.raises(PermanentError, match="there is no order unknown"):
        await run_handler(
            service, REQUESTED.model_copy(update={"order_id": "unknown"}), resources=Shop("here")
        )
    early = REQUESTED.model_copy(update={"order_id": "early"})
    with pytest.raises(Snooze) as caught:
        await run_handler(service, early, resources=Shop("here"))
    assert caught.value.retry_after == 1
    assert (await run_handler(service, early, resources=Shop("here"), snooze_no=1)).result["shop"] == "here"


async def test_resources_are_not_forgotten() -> None:
    with pytest.raises(DefinitionError, match="run_handler\\(…, resources=…\\)"):
        await run_handler(service, REQUESTED)


class Counted(Event, kind="thing.counted"):
    number: Annotated[int, Field(json_schema_extra={"maximum": 5})]


async def test_progress_and_the_begin_of_the_effect_are_seen() -> None:
    counting: Service[None] = Service("counting")

    @counting.handles(Counted)
    async def count(event: Counted, attempt: Attempt) -> None:
        for number in range(event.number):
            await attempt.progress(number / event.number, f"{number} of {event.number}")
        await attempt.begin_effect()

    run = await run_handler(counting, Counted(number=2))
    assert run.progress == [Progress(0, "0 of 2"), Progress(0.5, "1 of 2")]
    assert run.effect_begun


async def test_a_plain_handler_runs_in_a_thread_with_the_same_record() -> None:
    counting: Service[None] = Service("counting")

    @counting.handles(Counted)
    def count(event: Counted, attempt: SyncAttempt) -> dict[str, object]:
        attempt.progress(0.5, "half")
        attempt.begin_effect()
        return {"mail": attempt.submit(remind.event("ann@example.com")), "number": event.number}

    run = await run_handler(counting, Counted(number=2))
    assert (run.progress, run.effect_begun) == ([Progress(0.5, "half")], True)
    assert run.result == {"mail": run.spawned[0].id, "number": 2}


class Scanned(Event, kind="thing.scanned"):
    page: FileRef


async def test_files_are_read_from_the_test_and_kept_for_it() -> None:
    scanning: Service[None] = Service("scanning")

    @scanning.handles(Scanned)
    async def scan(event: Scanned, attempt: Attempt) -> None:
        page = await attempt.files.read(event.page)
        await attempt.files.write("copy.txt", page.upper(), content_type="text/plain")

    key = f"files/default/9f/{'9f' * 32}"
    run = await run_handler(scanning, Scanned(page=FileRef(key=key)), files={key: b"a page"})
    assert run.files == {"copy.txt": b"A PAGE"}
    assert run.result["files"]["copy.txt"]["size_bytes"] == 6

    with pytest.raises(PermanentError, match="no longer in the object store"):
        await run_handler(scanning, Scanned(page=FileRef(key=key)))


@pytest.mark.parametrize("plain", [False, True])
async def test_a_file_is_opened_by_a_path_that_is_gone_afterwards(*, plain: bool) -> None:
    scanning: Service[None] = Service("scanning")
    seen: list[Path] = []

    def scan_plainly(event: Scanned, attempt: SyncAttempt) -> dict[str, object]:
        with attempt.files.open(event.page) as path:
            seen.append(path)
            return {"text": path.read_text()}

    async def scan(event: Scanned, attempt: Attempt) -> dict[str, object]:
        async with attempt.files.open(event.page) as path:
            seen.append(path)
            return {"text": path.read_text()}

    if plain:
        scanning.handles(Scanned)(scan_plainly)
    else:
        scanning.handles(Scanned)(scan)
    key = f"files/default/9f/{'9f' * 32}"
    run = await run_handler(scanning, Scanned(page=FileRef(key=key)), files={key: b"a page"})

    assert run.result == {"text": "a page"}
    assert not seen[0].exists()


async def test_submitted_tasks_are_seen_and_checked() -> None:
    counting: Service[None] = Service("counting")

    @counting.handles(Counted)
    async def count(event: Counted, attempt: Attempt) -> dict[str, object]:
        return {"mail": attempt.submit(remind.event("ann@example.com"), delay_seconds=event.number)}

    run = await run_handler(counting, Counted(number=2))
    (spawned,) = run.spawned
    assert run.result == {"mail": spawned.id}
    assert (spawned.event, spawned.delay_seconds) == (remind.event("ann@example.com"), 2)

    with pytest.raises(PermanentError, match="between 0 and ten years"):
        await run_handler(counting, Counted(number=-1))


async def test_an_event_that_the_gateway_would_refuse_is_refused() -> None:
    counting: Service[None] = Service("counting")

    @counting.handles(Counted)
    async def count(_event: Counted, _attempt: Attempt) -> None:
        raise AssertionError("it is not run")

    with pytest.raises(ValueError, match="the gateway would refuse this event: /number"):
        await run_handler(counting, Counted(number=6))


async def test_a_result_that_would_be_left_out_is_an_error() -> None:
    large: Service[None] = Service("large")

    @large.handles(InvoicePaid)
    async def handle(event: InvoicePaid, _attempt: Attempt) -> dict[str, object]:
        return {"text": event.order_id * 40_000}

    with pytest.raises(ValueError, match="bytes as JSON, and at most"):
        await run_handler(large, InvoicePaid(order_id="17"))


async def test_another_services_event_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"invoices does not handle Counted, only invoice\.paid"):
        await run_handler(service, Counted(number=1))
