from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest
from httpx import Response

from waybill_testkit.gateway.in_process import Gateway, problem
from waybill_worker.runtime.throttle import LEAST_PAUSE


@pytest.mark.parametrize(
    ("state", "least"),
    [
        ("completed", timedelta(hours=1)),
        ("cancelled", timedelta(hours=1)),
        # Its letter may wait in the queue of a desk that is away.
        ("failed", timedelta(days=3)),
    ],
)
async def test_what_ended_too_lately_is_kept(gateway: Gateway, state: str, least: timedelta) -> None:
    async def answer(age: timedelta) -> Response:
        wanted = {"state": state, "ended_before": (datetime.now(UTC) - age).isoformat()}
        return await gateway.client.post("/v1/prunings", json=wanted)

    minute = timedelta(minutes=1)
    refused = problem(await answer(least - minute), 422, "too_young")
    assert [error["field"] for error in refused["errors"]] == ["ended_before"]
    assert (await answer(least + minute)).status_code == 200


async def test_a_step_is_answered_after_a_pause_so_that_accepts_come_in_between(gateway: Gateway) -> None:
    wanted = {"state": "completed", "ended_before": (datetime.now(UTC) - timedelta(days=30)).isoformat()}
    asked = monotonic()

    assert (await gateway.client.post("/v1/prunings", json=wanted)).status_code == 200
    assert monotonic() - asked >= LEAST_PAUSE
