"""The parent of several processes: what it does when one ends, and when itself is to end."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess

#: What the programs below are made of. Each process is a line in a file when it begins.
PARTS = """
import os, signal, sys, time
from pathlib import Path
from waybill_worker.observe import configure_logging
from waybill_worker.prefork import parent, run_processes, siblings

configure_logging("test", level="info", format_="json")
parent.FIRST_PAUSE, parent.LONGEST_PAUSE, parent.KILL_MARGIN = 0.01, 0.02, 0.2
here = Path(__file__).parent

def begin():
    with (here / "began").open("a") as file:
        file.write(f"{os.getpid()}\\n")

def work_on():
    # Waited for, not handled: a signal right before `pause` would not end that.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    siblings().report_begun()
    begin()
    signal.sigwait({signal.SIGTERM})

def run(work, processes=2, stop_seconds=5):
    run_processes(work, processes=processes, stop_seconds=stop_seconds)
"""


class Program:
    """A program with a parent."""

    def __init__(self, folder: Path, text: str) -> None:
        script = folder / "program.py"
        script.write_text(PARTS + text)
        self.log, self._began = folder / "log", folder / "began"
        self.process = ForkedProcess(
            script, env=dict(os.environ) | {"TMPDIR": str(folder / "tmp")}, log=self.log
        )

    def began(self) -> list[int]:
        """The processes that have begun, one after the other."""
        return [int(line) for line in self._began.read_text().split()] if self._began.exists() else []

    async def have_begun(self, count: int) -> list[int]:
        """Waits until so many have begun."""
        await eventually(lambda: len(self.began()) >= count)
        return self.began()

    async def exit_code(self) -> int:
        """Waits for the end of the parent."""
        await eventually(lambda: self.process.returncode is not None)
        return self.process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "tmp").mkdir()
    yield tmp_path
    assert not list((tmp_path / "tmp").iterdir()), "the parent leaves its folder behind"


def has_ended(pid: int) -> bool:
    """Whether it has ended, and its parent has not reaped it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def runs(pid: int) -> bool:
    try:
        # The parent reaps it: what is left of a process that has ended is nothing.
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_all_are_stopped_by_one_signal_and_have_ended_when_the_parent_has(folder: Path) -> None:
    program = Program(folder, "run(work_on, processes=3)")
    pids = await program.have_begun(3)
    program.process.terminate()

    assert await program.exit_code() == 0
    assert len(set(pids)) == 3
    assert not any(map(runs, pids))


async def test_a_signal_to_the_whole_group_starts_nothing_again(folder: Path) -> None:
    program = Program(folder, "run(work_on)\n")
    pids = await program.have_begun(2)
    os.kill(program.process.pid, signal.SIGSTOP)  # so that it sees all of it at once
    for pid in (*pids, program.process.pid):
        os.kill(pid, signal.SIGTERM)
    await eventually(lambda: all(map(has_ended, pids)))
    os.kill(program.process.pid, signal.SIGCONT)

    assert await program.exit_code() == 0
    assert "starting it again" not in program.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_one_that_ends_by_itself_is_started_again_and_the_others_stay(
    folder: Path, number: signal.Signals
) -> None:
    program = Program(folder, "run(work_on)")
    first, second = await program.have_begun(2)
    for _ in range(7):  # more than the failed starts that are the end
        begun = len(program.began())
        os.kill(program.began()[-1] if begun > 2 else first, number)
        await program.have_begun(begun + 1)
    third = program.began()[-1]
    assert runs(second)
    assert runs(third)
    program.process.terminate()

    assert await program.exit_code() == 0
    assert program.log.read_text().count("a process has ended; starting it again") == 7


async def test_one_that_never_begins_to_work_ends_all_with_70(folder: Path) -> None:
    program = Program(
        folder,
        """
def fail_second():
    if siblings()._number == 2:
        begin()
        sys.exit(3)
    work_on()

run(fail_second)
""",
    )
    assert await program.exit_code() == 70
    assert len(program.began()) == 1 + 5
    assert not any(map(runs, program.began()))
    assert "a process cannot be started: ending" in program.log.read_text()


async def test_one_that_people_must_correct_ends_all_with_78_at_once(folder: Path) -> None:
    program = Program(
        folder,
        """
def misconfigured():
    begin()
    sys.exit(78)

run(misconfigured, processes=1)
""",
    )
    assert await program.exit_code() == 78
    assert len(program.began()) == 1


async def test_an_error_that_nobody_expected_does_not_go_on_as_the_parent(folder: Path) -> None:
    program = Program(
        folder,
        """
def broken():
    begin()
    raise LookupError("not here")

run(broken, processes=1)
begin()
""",
    )
    assert await program.exit_code() == 70
    assert len(program.began()) == 5
    assert "LookupError: not here" in program.log.read_text()


async def test_one_that_does_not_stop_is_killed_and_the_exit_code_tells(folder: Path) -> None:
    program = Program(
        folder,
        """
def deaf():
    siblings().report_begun()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    begin()
    while True:
        time.sleep(60)

run(deaf, stop_seconds=0.1)
""",
    )
    pids = await program.have_begun(2)
    program.process.terminate()

    assert await program.exit_code() == 70
    assert not any(map(runs, pids))


async def test_a_signal_that_comes_before_a_process_handles_signals_is_not_lost(folder: Path) -> None:
    program = Program(
        folder,
        """
def slow():
    begin()
    time.sleep(60)

run(slow)
""",
    )
    await program.have_begun(2)
    program.process.send_signal(signal.SIGINT)

    assert await program.exit_code() == 0


async def test_a_signal_between_two_starts_of_a_process_ends_the_parent(folder: Path) -> None:
    program = Program(
        folder,
        """
parent.FIRST_PAUSE = parent.LONGEST_PAUSE = 60

def end():
    siblings().report_begun()
    begin()
    sys.exit(1)

run(end, processes=1)
""",
    )
    await program.have_begun(1)
    await eventually(lambda: "starting it again" in program.log.read_text())
    program.process.terminate()

    assert await program.exit_code() == 0
