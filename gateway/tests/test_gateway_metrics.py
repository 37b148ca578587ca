import pytest

from waybill_testkit.exposition import values
from waybill_testkit.gateway.in_process import EMAIL, Gateway


@pytest.fixture
def database_system() -> str:
    """Nothing here depends on it."""
    return "sqlite"


async def text(gateway: Gateway) -> str:
    answer = await gateway.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return answer.text


async def test_a_task_counts_once_however_often_it_is_posted(gateway: Gateway) -> None:
    for _ in range(3):
        await gateway.post("/v1/emails", EMAIL, Idempotency_Key="once")
    await gateway.post("/v1/emails", {"to": "nobody"})

    assert values(await text(gateway), "waybill_tasks_accepted_total") == {("email.requested",): 1}


async def test_requests_are_measured_under_their_routes_template(gateway: Gateway) -> None:
    task_id = (await gateway.post("/v1/emails", EMAIL)).json()["id"]
    await gateway.client.get(f"/v1/tasks/{task_id}")
    await gateway.client.get("/v1/tasks/not-there")
    seen = await text(gateway)

    counts = values(seen, "waybill_http_request_seconds_count")
    assert counts["POST", "/v1/emails", "202"] == 1
    assert counts["GET", "/v1/tasks/{task_id}", "200"] == 1
    assert task_id not in seen


async def test_what_strangers_ask_for_becomes_no_label(gateway: Gateway) -> None:
    for number in range(5):
        await gateway.client.get(f"/wp-admin-{number}")
    await gateway.client.request("BREW", "/coffee")
    seen = await text(gateway)

    assert "wp-admin" not in seen
    assert "BREW" not in seen
    assert values(seen, "waybill_http_request_seconds_count")["none", "none", "404"] == 6
