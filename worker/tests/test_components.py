"""Components of a process: started in order, stopped in reverse, whatever one of them does."""

import asyncio

import pytest

from waybill_worker.runtime.components import Component, Components, Together


class Part(Component):
    """Writes down what is done with it."""

    def __init__(self, name: str, seen: list[str], *, stop_error: Exception | None = None) -> None:
        self._name = name
        self._seen = seen
        self._stop_error = stop_error

    async def start(self) -> None:
        self._seen.append(f"start {self._name}")

    async def stop(self) -> None:
        self._seen.append(f"stop {self._name}")
        if self._stop_error is not None:
            raise self._stop_error


class Slow(Component):
    """Takes its time to stop."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    async def stop(self) -> None:
        self._seen.append("begin")
        await asyncio.sleep(0.05)
        self._seen.append("end")


class Fails(Component):
    """Fails at once, with an exit code."""

    def __init__(self, code: int | None) -> None:
        self._code = code

    async def wait_failed(self) -> int | None:
        return self._code


async def test_they_start_in_order_and_stop_in_reverse() -> None:
    seen: list[str] = []
    components = Components(Part("database", seen), Part("broker", seen))
    await components.start()
    await components.stop()

    assert seen == ["start database", "start broker", "stop broker", "stop database"]


async def test_all_are_stopped_where_the_start_was_cut_short_or_a_stop_fails() -> None:
    seen: list[str] = []
    broken = Part("broker", seen, stop_error=LookupError("broker"))
    with pytest.raises(LookupError, match="broker"):
        await Components(Part("database", seen), broken).stop()

    assert seen == ["stop broker", "stop database"]


@pytest.mark.parametrize("code", [None, 75])
async def test_the_first_that_fails_gives_the_exit_code(code: int | None) -> None:
    components = Components(Component(), Together(Component(), Fails(code)))

    assert await components.wait_failed() == code


async def test_a_code_of_its_own_counts_for_more_than_none() -> None:
    assert await Components(Fails(None), Fails(75)).wait_failed() == 75


async def test_those_that_do_not_need_each_other_stop_in_the_time_of_the_slowest() -> None:
    seen: list[str] = []
    await Together(Slow(seen), Slow(seen), Slow(seen)).stop()

    assert seen == ["begin"] * 3 + ["end"] * 3


async def test_what_others_need_stops_after_them_even_if_one_of_them_fails_to_stop() -> None:
    seen: list[str] = []
    fails = Part("relay", seen, stop_error=LookupError("relay"))
    with pytest.raises(LookupError, match="relay"):
        await Components(Part("database", seen), Together(Slow(seen), fails)).stop()

    assert seen == ["begin", "stop relay", "end", "stop database"]


async def test_each_failure_to_stop_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    broker = Part("broker", [], stop_error=LookupError("no broker"))
    database = Part("database", [], stop_error=LookupError("no database"))
    with pytest.raises(LookupError):
        await Components(database, broker).stop()

    logged = capsys.readouterr().out
    assert "no broker" in logged
    assert "no database" in logged
