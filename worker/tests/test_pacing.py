from types import SimpleNamespace

import pytest

from waybill_worker.runtime import throttle as pacing


@pytest.mark.parametrize(("took", "paused"), [(2.0, 18.0), (0.5, 4.5), (0.0, pacing.LEAST_PAUSE)])
async def test_a_pause_is_nine_times_as_long_as_the_step_and_never_none(
    monkeypatch: pytest.MonkeyPatch, took: float, paused: float
) -> None:
    clock = SimpleNamespace(now=100.0)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def step() -> str:
        clock.now += took
        return "done"

    monkeypatch.setattr(pacing, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(pacing, "asyncio", SimpleNamespace(sleep=sleep))

    assert await pacing.throttled(step()) == "done"
    assert pauses == [paused]
