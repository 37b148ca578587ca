import pytest

from waybill_testkit.gateway.in_process import Gateway, problem

UNKNOWN = "00000000-0000-7000-8000-000000000000"
MAIL = {"to": "ann@example.test", "subject": "Hello", "text": "Hi."}


async def test_a_scheduled_task_is_prevented(gateway: Gateway) -> None:
    accepted = await gateway.client.post("/v1/emails", json=MAIL | {"delay_seconds": 3600})
    task = accepted.headers["Location"]
    answer = await gateway.client.post(f"{task}/cancel")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "prevented")
    assert (await gateway.client.get(task)).json()["state"] == "cancelled"
    again = await gateway.client.post(f"{task}/cancel")
    assert (again.status_code, again.json()) == (200, answer.json())


async def test_low_work_that_is_still_held_is_prevented(gateway: Gateway) -> None:
    accepted = await gateway.client.post(
        "/v1/emails", json=MAIL | {"priority": "low", "list_unsubscribe": []}
    )
    assert accepted.json()["state"] == "pending"
    answer = await gateway.client.post(f"{accepted.headers['Location']}/cancel")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "prevented")


async def test_a_task_that_has_left_is_stopping(gateway: Gateway) -> None:
    accepted = await gateway.client.post("/v1/emails", json=MAIL)
    answer = await gateway.client.post(f"{accepted.headers['Location']}/cancel")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "stopping")


@pytest.mark.parametrize(("task_id", "status"), [(UNKNOWN, 404), ("not-an-id", 422)])
async def test_no_such_task(gateway: Gateway, task_id: str, status: int) -> None:
    answer = await gateway.client.post(f"/v1/tasks/{task_id}/cancel")
    problem(answer, status, "no_such_task" if status == 404 else "invalid_request")
