"""A process that is misconfigured says so in one line; one that breaks down does so in the log."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import pytest

from waybill_testkit.machine import ForkedProcess

#: What the processes below are made of.
PARTS = """
import threading, warnings
warnings.simplefilter("error")
from waybill_worker.runtime.process import Lifecycle, MisconfiguredError
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.runtime.startup import start

class Process:
    def __init__(self, settings): pass
    async def start(self): pass
    async def wait_failed(self): pass
    async def stop(self): pass
"""


def ended(program: str, **environment: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the log of a process; nothing may be written outside the log."""
    with TemporaryDirectory() as folder:
        script, log = Path(folder) / "program.py", Path(folder) / "log"
        script.write_text(PARTS + program)
        code = ForkedProcess(script, env={"PATH": os.environ["PATH"], **environment}, log=log).wait(60)
        return code, [json.loads(line) for line in log.read_text().splitlines()]


def test_a_setting_that_is_missing_or_wrong_is_named_in_one_line() -> None:
    code, lines = ended("start('email', ServiceSettings, Process)", WAYBILL_PREFETCH="0")
    assert code == 78
    (line,) = lines
    assert (line["level"], line["process"]) == ("critical", "email")
    assert "WAYBILL_INBOX_URL: Field required" in line["reason"]
    assert "WAYBILL_PREFETCH: Input should be greater" in line["reason"]


@pytest.mark.parametrize(
    "process",
    [
        "def make(settings): raise ValueError('no such thing')",
        "def make(settings): raise OSError('no such thing')",
        """
class make(Process):
    async def start(self): raise MisconfiguredError('no such thing')
""",
    ],
)
def test_what_only_people_can_mend_ends_a_process_in_one_line(process: str) -> None:
    code, lines = ended(f"{process}\nstart('email', ServiceSettings, make)", WAYBILL_INBOX_URL="sqlite:///x")
    assert code == 78
    (told,) = [line for line in lines if line["level"] == "critical"]
    assert told["reason"] == "no such thing"
    assert "exception" not in told


def test_a_thread_that_an_import_began_is_no_ground_for_several_processes() -> None:
    program = """
threading.Thread(target=threading.Event().wait, daemon=True, name="of-a-module").start()
start('email', ServiceSettings, Process)
"""
    code, lines = ended(program, WAYBILL_INBOX_URL="sqlite:///x", WAYBILL_PROCESSES="2")
    assert code == 78
    (line,) = lines
    assert line["reason"] == "WAYBILL_PROCESSES: a module began threads when it was imported: ['of-a-module']"


def test_a_program_that_starts_one_process_refuses_to_be_told_of_several() -> None:
    program = "from waybill_worker.runtime import build\nbuild('email', ServiceSettings, Process)"
    code, lines = ended(program, WAYBILL_INBOX_URL="sqlite:///x", WAYBILL_PROCESSES="2")
    assert code == 78
    (line,) = lines
    assert line["reason"].startswith("WAYBILL_PROCESSES: this program starts one process")


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        ("async def start(self): raise LookupError(who)", 70),
        ("async def stop(self): raise LookupError(who)", 1),
        (
            """def fail(self): raise LookupError(who)
    async def wait_failed(self): dying = threading.Thread(target=self.fail); dying.start(); dying.join()""",
            70,
        ),
    ],
)
def test_an_error_that_nobody_expected_is_told_in_the_log_and_masked_like_all_else(
    process: str, expected: int
) -> None:
    program = f"who = 'ann' + '@example.com'\nclass Broken(Process):\n    {process}\n"
    code, lines = ended(
        f"{program}\nstart('email', ServiceSettings, Broken)", WAYBILL_INBOX_URL="sqlite:///x"
    )
    assert code == expected
    (told,) = [line for line in lines if line["level"] == "critical"]
    assert told["exception"].endswith("LookupError: a***@example.com")


@pytest.mark.parametrize(
    "stop",
    [
        "await asyncio.Event().wait()",
        "time.sleep(60)",
        "asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)",
    ],
    ids=["waits", "holds up the loop", "leaves a thread"],
)
def test_a_process_that_is_to_stop_is_gone_in_time_whatever_does_not_end(stop: str) -> None:
    program = f"""
import asyncio, os, signal, time
from waybill_worker.observe.logs import configure_logging
from waybill_worker.runtime.process import run

class Stuck(Process):
    async def start(self): os.kill(os.getpid(), signal.SIGTERM)
    async def wait_failed(self): await asyncio.Event().wait()
    async def stop(self): {stop}

configure_logging("email", level="info", format_="json")
run(lambda: Stuck(None), stop_seconds=0.5)"""
    began = monotonic()
    code, lines = ended(program)

    assert code == 0
    assert monotonic() - began < 30
    assert lines[-1]["event"] == "did not stop in time; ending anyway"
    assert lines[-1]["process"] == "email"
