"""What an outage has processes say again and again is said once a minute."""

import json
import subprocess
import sys
from typing import Any

from waybill_worker.observe.repeated_lines import REPEAT_SECONDS, Repeats

PROGRAM = """
import logging
from waybill_worker.observe.logs import configure_logging, get_logger
configure_logging("email", level="info", format_="json")
log = get_logger("waybill_worker.broker.connection")
for n in range(50):
    logging.getLogger("aiormq.connection").error("error when creating transport: %r", OSError(n))
    logging.getLogger("aio_pika.robust_connection").warning('Connection attempt to "%s" failed: %s.', n, n)
    log.info("the broker gives no state of a queue", queue=n, once_a_minute=True)
    log.warning("failed for now, trying again", once_a_minute="sweep" if n % 2 else "pruner")
log.info("said each time")
log.info("said each time")
logging.getLogger("other").warning("said each time")
logging.getLogger("other").warning("said each time")
"""


def test_lines_of_an_outage_are_said_once() -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    lines: list[dict[str, Any]] = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [line["event"] for line in lines] == [
        'Connection attempt to "0" failed: 0.',
        "the broker gives no state of a queue",
        *["failed for now, trying again"] * 2,
        *["said each time"] * 4,
    ]
    assert not any("once_a_minute" in line for line in lines)
    assert ran.stderr == ""


def test_after_a_minute_it_is_said_again_with_how_often_it_was_not() -> None:
    now = 0.0
    repeats = Repeats(lambda: now)
    assert [repeats.left_out("away") for _ in range(3)] == [0, None, None]
    assert repeats.left_out("something else") == 0
    now = REPEAT_SECONDS
    assert [repeats.left_out("away") for _ in range(2)] == [2, None]
    now = 2 * REPEAT_SECONDS
    assert repeats.left_out("away") == 1
