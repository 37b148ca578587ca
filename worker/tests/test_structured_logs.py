import json
import subprocess
import sys
from typing import Any

import pytest

# Each in a process of its own: logging is configured once for a whole process.
PRELUDE = "import logging, structlog; from waybill_worker.observe.logs import configure_logging, get_logger\n"


def logged(program: str, *, level: str = "info", format_: str = "json") -> list[str]:
    configure = f"configure_logging('email', level={level!r}, format_={format_!r})\n"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + configure + program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def test_each_line_is_one_object_with_the_tasks_words() -> None:
    program = """
structlog.contextvars.bind_contextvars(task_id="t1", attempt=2)
get_logger("waybill_worker.consume.pipeline").info("attempt completed", seconds=0.5)
logging.getLogger("library").warning("beware %s", "x", extra={"queue": "email.work"})
"""
    ours, theirs = map(json.loads, logged(program))

    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "process": "email",
        "module": "waybill_worker.consume.pipeline",
        "level": "info",
        "event": "attempt completed",
        "task_id": "t1",
        "attempt": 2,
        "seconds": 0.5,
    }
    assert theirs.pop("timestamp").endswith("Z")
    assert theirs == {
        "process": "email",
        "logger": "library",
        "level": "warning",
        "event": "beware x",
        "queue": "email.work",
        "task_id": "t1",
        "attempt": 2,
    }


@pytest.mark.parametrize(
    "call",
    [
        "get_logger('m').exception('failed')",
        "get_logger('m').error('failed', exc_info=error)",
        "logging.getLogger('library').exception('failed')",
    ],
)
def test_a_traceback_is_in_its_own_line(call: str) -> None:
    program = f"""
try:
    {{}}['missing']
except KeyError as caught:
    error = caught
    {call}
"""
    (line,) = logged(program)
    entry: dict[str, Any] = json.loads(line)

    assert entry["event"] == "failed"
    assert entry["exception"].startswith("Traceback")
    assert entry["exception"].endswith("KeyError: 'missing'")


def test_an_error_in_a_field_is_told_with_its_type() -> None:
    program = """
get_logger("m").warning("failed", error=KeyError("nope"), cause=TimeoutError(), to=OSError("no ann@a.test"))
"""
    (line,) = map(json.loads, logged(program))

    assert (line["error"], line["cause"]) == ("KeyError: 'nope'", "TimeoutError")
    assert line["to"] == "OSError: no a***@a.test"


def test_the_level_holds_for_ours_and_theirs_and_chatter_is_kept_out() -> None:
    program = """
for name in ("m", "library", "faststream", "httpx"):
    logging.getLogger(name).info(name)
    logging.getLogger(name).warning(name)
get_logger("m").debug("quiet")
get_logger("m").info("heard")
"""
    events = [json.loads(line)["event"] for line in logged(program)]

    assert events == ["m", "m", "library", "library", "faststream", "httpx", "heard"]


def test_console_lines_are_for_people() -> None:
    lines = logged("get_logger('m').info('hello', task_id='t1')", format_="console")

    assert "hello" in lines[0]
    assert not lines[0].startswith("{")


def test_the_words_of_a_task_hide_nothing_of_our_own() -> None:
    # As of a payload whose texts are words that we use ourselves.
    program = """
from waybill_worker.observe.logs import mask_lines
from waybill_contracts.privacy.mask import Mask
mask_lines(Mask(["attempt", "completed", "email", "error", "Anna"]))
log = get_logger("waybill_worker.attempt.runner")
log.info("attempt completed", queue="email.work", kind="email.requested", error="no Anna in Annapolis")
logging.getLogger("library").warning("refused for %s", "Anna", extra={"error": "Anna"})
"""
    ours, theirs = map(json.loads, logged(program))

    assert (ours["event"], ours["process"], ours["module"]) == (
        "attempt completed",
        "email",
        "waybill_worker.attempt.runner",
    )
    assert (ours["queue"], ours["kind"]) == ("email.work", "email.requested")
    assert ours["error"] == "no *** in Annapolis"
    assert (theirs["event"], theirs["error"]) == ("refused for ***", "***")


def test_the_name_of_a_request_can_be_found_though_its_mail_quotes_it() -> None:
    program = """
from waybill_worker.observe.logs import mask_lines
from waybill_contracts.privacy.mask import Mask
mask_lines(Mask(["Alert 4711-disk: see 4711-disk", "4711-disk", "Kept"]))
structlog.contextvars.bind_contextvars(correlation_id="4711-disk", task_id="t1")
get_logger("m").info("attempt completed", step="4711-disk", error="2.0.0 kept as 7 for 4711-disk")
structlog.contextvars.bind_contextvars(correlation_id="order of ann@a.test")
get_logger("m").info("attempt completed")
"""
    first, second = map(json.loads, logged(program))

    assert (first["correlation_id"], first["step"]) == ("4711-disk", "4711-disk")
    assert first["error"] == "2.0.0 kept as 7 for ***"
    assert second["correlation_id"] == "order of a***@a.test"


@pytest.mark.parametrize(
    "written",
    [
        r"""{"name": "J\\u00f6rg \\"the boss\\" B\\/hm"}""",
        r"""{"name": "Jörg \\"the boss\\" B\\/hm"}""",
        "name=J%C3%B6rg+%22the+boss%22+B%2Fhm&x=1",
        "J&#246;rg &quot;the boss&quot; B/hm",
    ],
)
def test_no_line_shows_a_value_in_another_writing(written: str) -> None:
    program = f"""
from waybill_worker.observe.logs import mask_lines
from waybill_contracts.privacy.mask import Mask
mask_lines(Mask(['Jörg "the boss" B/hm']))
get_logger("m").warning("attempt failed", error={written!r})
logging.getLogger("library").warning("refused: %s", {written!r})
"""
    for line in logged(program):
        assert "boss" not in line
        assert "***" in line


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_shows_no_values_of_variables(format_: str) -> None:
    program = """
def fail(secret):
    raise LookupError("nobody")
try:
    fail("hush" + "-hush")
except LookupError:
    get_logger("m").exception("failed")
    logging.getLogger("library").exception("failed")
"""
    told = "\n".join(logged(program, format_=format_))

    assert told.count("LookupError: nobody") == 2
    assert "hush-hush" not in told
