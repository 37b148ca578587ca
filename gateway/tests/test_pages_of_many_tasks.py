"""Many tasks on the page: narrowed by a search, cancelled as they were shown."""

import pytest
from visiting import filled, followed, text_of

from waybill_contracts.wire import LifecycleType
from waybill_gateway.ui.tasks.list_page import terms_of
from waybill_ledger import apply_events
from waybill_ledger.schema.tables import TASKS
from waybill_testkit.gateway.in_process import EMAIL, Gateway
from waybill_testkit.samples import reported

SYNC = {"target": "crm", "resource": "contacts", "id": "7", "data": {}}
CANCEL = "/ui/tasks/cancel?kind=email.requested"


@pytest.fixture
def database_system() -> str:
    """Nothing here depends on it."""
    return "sqlite"


async def states(gateway: Gateway) -> list[tuple[str, str]]:
    rows = sorted(await gateway.rows(TASKS), key=lambda row: row["id"])
    return [(row["kind"], row["state"]) for row in rows]


async def test_exactly_the_tasks_that_were_shown_are_cancelled(gateway: Gateway) -> None:
    for _ in range(3):
        await gateway.post("/v1/emails", EMAIL | {"delay_seconds": 60})
    await gateway.post("/v1/syncs", SYNC | {"delay_seconds": 60})
    page = text_of(await gateway.client.get(CANCEL))
    assert "Cancel 3 tasks all open ones that match now" in page
    assert "3 scheduled." in page
    address, fields = await filled(gateway, CANCEL, "tasks/cancel")
    await gateway.post("/v1/emails", EMAIL | {"delay_seconds": 60})  # comes after it was shown
    ended = fields["ids"].split()[0]
    with gateway.resources.records.engine.begin() as connection:
        apply_events(connection, [reported(LifecycleType.COMPLETED, ended)])
    done = text_of(await gateway.client.post(address, data=fields))
    assert "cancelled: no attempt will begin 2 asked to stop 0 had ended already 1" in done
    mail, sync = "email.requested", "sync.requested"
    assert await states(gateway) == [
        *[(mail, "cancelled")] * 2,
        (mail, "completed"),
        (sync, "scheduled"),
        (mail, "scheduled"),
    ]


async def test_what_has_ended_is_not_offered_to_be_cancelled(gateway: Gateway) -> None:
    accepted = await gateway.post("/v1/emails", EMAIL | {"delay_seconds": 60})
    await gateway.client.post(f"/v1/tasks/{accepted.json()['id']}/cancel")
    for query in ("", "&state=cancelled"):
        assert "No open task matches." in text_of(await gateway.client.get(CANCEL + query))
    assert "Cancel open ones" not in (await gateway.client.get("/ui/tasks?state=cancelled")).text
    assert "Cancel open ones" in (await gateway.client.get("/ui/tasks?kind=email.requested")).text


@pytest.mark.parametrize("ids", ["", "x", " ".join(["01a20797-6d09-71fe-b759-803ec3a459ee"] * 1001)])
async def test_only_ids_of_a_page_are_taken(gateway: Gateway, ids: str) -> None:
    await gateway.post("/v1/emails", EMAIL)
    address, fields = await filled(gateway, CANCEL, "tasks/cancel")
    assert (await gateway.client.post(address, data=fields | {"ids": ids})).status_code == 422


async def test_a_search_may_name_kind_service_and_state(gateway: Gateway) -> None:
    await gateway.post("/v1/syncs", SYNC)
    await gateway.post("/v1/emails", EMAIL)
    answer = await gateway.client.get("/ui/search?q=kind:sync.requested state:pending contacts")
    assert answer.headers["location"].endswith("ui/tasks?kind=sync.requested&state=pending&q=contacts")
    assert (await followed(gateway, answer)).text.count("data-row") == 1
    suggested = (await gateway.client.get("/ui/search/suggestions")).text
    assert '<option value="kind:email.requested">' in suggested
    assert '<option value="state:failed">' in suggested
    assert '<option value="service:sync">' in suggested


def test_other_words_with_a_colon_stay_in_a_search() -> None:
    assert terms_of("crm: contact 7") == ({}, "crm: contact 7")
    assert terms_of("kind: 7") == ({}, "kind: 7")
    assert terms_of(" service:sync  17 ") == ({"service": "sync"}, "17")
