"""Values of the overview: made once for all who ask, and seldom if they take long."""

import asyncio

import pytest

from waybill_gateway.stats import kept as kept_values
from waybill_gateway.stats.kept import Kept


async def test_many_who_ask_at_once_get_one_value() -> None:
    made: list[int] = []

    async def make() -> int:
        made.append(1)
        await asyncio.sleep(0)
        return len(made)

    kept = Kept(make, fresh_seconds=60)
    assert await asyncio.gather(*(kept.get() for _ in range(9))) == [1] * 9
    assert await kept.get() == 1


async def test_who_has_no_patience_gets_the_last_value_while_a_new_one_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_values, "SHARE", 1e9)  # what was made is stale at once
    go_on = asyncio.Event()
    numbers = iter(range(9))

    async def make() -> int:
        await go_on.wait()
        return next(numbers)

    kept = Kept(make, fresh_seconds=0)
    assert await kept.get(patience=0.01) is None
    go_on.set()
    assert await kept.get() == 0
    go_on.clear()
    assert await kept.get(patience=0.01) == 0
    go_on.set()
    assert await kept.get() == 1


async def test_what_takes_long_is_made_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"now": 100.0}
    monkeypatch.setattr(kept_values, "monotonic", lambda: clock["now"])
    made: list[float] = []

    async def make() -> int:
        made.append(clock["now"])
        clock["now"] += 2
        return len(made)

    kept = Kept(make, fresh_seconds=3)
    assert await kept.get() == 1
    clock["now"] = 141.9
    assert await kept.get() == 1
    clock["now"] = 142.1
    assert await kept.get() == 2


async def test_an_error_is_raised_to_who_waits_and_the_next_one_tries_again() -> None:
    outcomes = iter((OSError("away"), 7))

    async def make() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    kept = Kept(make, fresh_seconds=60)
    with pytest.raises(OSError, match="away"):
        await kept.get()
    assert await kept.get() == 7


async def test_who_has_patience_gets_the_new_value_if_it_is_made_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_values, "SHARE", 1e9)
    numbers = iter(range(9))

    async def make() -> int:
        await asyncio.sleep(0)
        return next(numbers)

    kept = Kept(make, fresh_seconds=0)
    assert [await kept.get(patience=60) for _ in range(3)] == [0, 1, 2]


async def test_what_fails_after_long_is_made_seldom_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"now": 100.0}
    monkeypatch.setattr(kept_values, "monotonic", lambda: clock["now"])
    tries: list[float] = []

    async def make() -> int:
        tries.append(clock["now"])
        clock["now"] += 20
        raise OSError("no answer in time")

    kept = Kept(make, fresh_seconds=3)
    with pytest.raises(OSError, match="no answer"):
        await kept.get()
    clock["now"] += 399
    assert await kept.get() is None
    assert tries == [100.0]
