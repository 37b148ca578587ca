"""Lines that are written beside the work look like all others."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs
from test_structured_logs import logged

from waybill_worker.observe import FrequentLine

PROGRAM = """
import asyncio
from waybill_worker.observe import FrequentLine
structlog.contextvars.bind_contextvars(process="gateway")
line, log = FrequentLine("m", "task accepted"), get_logger("m")
async def main():
    for named in ("order-17", 'of "ann@example.com"\\\\', None):
        log.info("task accepted", task_id="t1", correlation_id=named)
        line.log(task_id="t1", correlation_id=named)
        await asyncio.sleep(0)
asyncio.run(main())
"""


def without_time(line: str) -> str:
    """A line of JSON without its time, which has the form of all others."""
    before, time, after = line.partition('"timestamp": "')
    assert time
    assert after[19] == "."
    assert after.endswith('Z"}')
    return before


def test_a_frequent_line_is_written_as_any_other() -> None:
    lines = [without_time(line) for line in logged(PROGRAM)]

    assert lines[::2] == lines[1::2]
    assert ["a***@example.com" in line for line in lines] == [False, False, True, True, False, False]


def test_a_frequent_line_is_for_people_where_all_are() -> None:
    assert len([line for line in logged(PROGRAM, format_="console") if "task accepted" in line]) == 6


@pytest.mark.parametrize(("level", "count"), [("info", 6), ("warning", 0)])
def test_a_frequent_line_has_the_level_info(level: str, count: int) -> None:
    assert len(logged(PROGRAM, level=level)) == count


def test_the_lines_of_a_turn_are_written_by_the_next() -> None:
    program = """
import asyncio, sys
from waybill_worker.observe import FrequentLine
line = FrequentLine("m", "task accepted")
async def main():
    line.log(task_id="t1")
    line.log(task_id="t2")
    print("answered")
asyncio.run(main())
"""
    answered, *lines = logged(program)

    assert answered == "answered"
    assert [json.loads(line)["task_id"] for line in lines] == ["t1", "t2"]


def test_a_line_that_a_loop_left_behind_is_written_by_the_next() -> None:
    line = FrequentLine("m", "task accepted")
    first = asyncio.new_event_loop()
    first.call_soon(lambda: line.log(task_id="t1"))
    first.call_soon(first.stop)
    first.run_forever()
    first.close()

    async def log_and_wait() -> None:
        line.log(task_id="t2")
        await asyncio.sleep(0)

    with capture_logs() as lines:
        asyncio.run(log_and_wait())

    assert [each["task_id"] for each in lines] == ["t1", "t2"]
