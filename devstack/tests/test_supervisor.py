"""Real child processes under a real supervisor."""

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
from rich.console import Console

from waybill_devstack.processes.child import ProcessSpec
from waybill_devstack.processes.readiness import http_ok, tcp_open
from waybill_devstack.processes.supervisor import StartError, Supervisor
from waybill_testkit.machine.lifeline import die_with_parent
from waybill_testkit.machine.ports import free_ports

#: Says it is there, then does nothing until a signal ends it.
IDLE = "import time; print('here'); time.sleep(600)"
#: A program that ignores SIGTERM, too.
IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {IDLE}"


class Stage:
    """A supervisor, its output and the process ids that it reported."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.screen = io.StringIO()
        self.reported: list[Mapping[str, int]] = []
        self.supervisor = Supervisor(
            state, Console(file=self.screen), on_pids=self.reported.append, ready_seconds=60, grace_seconds=60
        )

    def spec(self, name: str, script: str, *arguments: str, **env: str) -> ProcessSpec:
        """A Python process that is ready when it has written its first line."""
        log = self.state / "logs" / f"{name}.log"

        async def wrote(_pid: int) -> bool:
            return b"\n" in log.read_bytes()

        return ProcessSpec(name, [sys.executable, "-c", script, *arguments], env, wrote)

    def log(self, name: str) -> str:
        return (self.state / "logs" / f"{name}.log").read_text()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    await stage.supervisor.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 (what is waited for happens in another process)
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").exists() or ") Z" not in Path(f"/proc/{pid}/stat").read_text()


async def test_starts_a_step_together_and_waits_until_all_are_ready(stage: Stage) -> None:
    await stage.supervisor.start(stage.spec("one", IDLE), stage.spec("two", IDLE))
    pids = stage.supervisor.pids()
    assert list(pids) == ["one", "two"]
    assert all(alive(pid) for pid in pids.values())
    assert stage.reported[-1] == pids
    assert stage.log("one") == "here\n"
    assert re.search(r"^\d\d:\d\d:\d\d one   here$", stage.screen.getvalue(), re.MULTILINE)


async def test_hands_over_the_environment(stage: Stage) -> None:
    script = f"import os; print(os.environ['GREETING'], 'PATH' in os.environ); {IDLE}"
    await stage.supervisor.start(stage.spec("one", script, GREETING="hi"))
    assert stage.log("one").startswith("hi True\n")


async def test_starts_again_what_dies_and_says_so(stage: Stage) -> None:
    await stage.supervisor.start(stage.spec("one", IDLE))
    first = stage.supervisor.pids()["one"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: stage.supervisor.pids().get("one", first) != first)
    assert "one ended (SIGKILL); it is started again in 0.5 s" in stage.screen.getvalue()
    assert {} in stage.reported
    assert stage.reported[-1] == stage.supervisor.pids()


async def start_and_break(stage: Stage) -> None:
    """Start a process that is ready once, and from then on ends at once with code 3."""
    script = "import pathlib, sys; print('here'); pathlib.Path(sys.argv[1]).exists() and sys.exit(3); "
    broken = stage.state / "broken"
    await stage.supervisor.start(stage.spec("one", script + IDLE, str(broken)))
    broken.touch()
    os.kill(stage.supervisor.pids()["one"], signal.SIGKILL)
    await until(lambda: "again in 1 s" in stage.screen.getvalue())


async def test_waits_longer_each_time_it_dies(stage: Stage) -> None:
    await start_and_break(stage)
    ends = re.findall(r"one ended \((.*)\); it is started again in ([\d.]+) s", stage.screen.getvalue())
    assert ends == [("SIGKILL", "0.5"), ("code 3", "1")]


async def test_one_that_ends_before_it_is_ready_fails_the_start_with_its_output(stage: Stage) -> None:
    script = "import sys; sys.stderr.write('no database'); sys.exit(3)"
    with pytest.raises(StartError, match=r"(?s)one ended before it was ready \(code 3\).*no database"):
        await stage.supervisor.start(stage.spec("one", script), stage.spec("two", IDLE))


async def test_a_program_that_is_not_there_fails_the_start(stage: Stage) -> None:
    with pytest.raises(StartError, match=r"cannot be started: .*no-such-program"):
        await stage.supervisor.start(ProcessSpec("one", ["/no-such-program"]))


async def test_one_that_is_never_ready_fails_the_start(tmp_path: Path) -> None:
    async def never(_pid: int) -> bool:
        return False

    spec = ProcessSpec("one", [sys.executable, "-c", IDLE], ready=never)
    async with Supervisor(tmp_path, Console(file=io.StringIO()), ready_seconds=0.1) as supervisor:
        with pytest.raises(StartError, match=r"one is not ready after 0.1 s"):
            await supervisor.start(spec)
        pid = supervisor.pids()["one"]
    assert not alive(pid)


async def test_a_name_is_used_once(stage: Stage) -> None:
    await stage.supervisor.start(stage.spec("one", IDLE))
    with pytest.raises(ValueError, match="two processes named one"):
        await stage.supervisor.start(stage.spec("one", IDLE))


async def test_stops_everything_with_descendants(stage: Stage) -> None:
    parent = (
        f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', sys.argv[1]]).pid); {IDLE}"
    )
    await stage.supervisor.start(stage.spec("one", IDLE), stage.spec("two", parent, IGNORES_SIGTERM))
    pids = [*stage.supervisor.pids().values(), int(stage.log("two").split()[0])]
    await stage.supervisor.stop()
    assert stage.supervisor.pids() == {}
    await until(
        lambda: not any(alive(pid) for pid in pids)
    )  # the grandchild is reaped by init, a moment later
    assert "ended" not in stage.screen.getvalue()


async def test_kills_what_does_not_stop_in_time(tmp_path: Path) -> None:
    screen = io.StringIO()
    stage = Stage(tmp_path)
    async with Supervisor(tmp_path, Console(file=screen), grace_seconds=0.1) as supervisor:
        await supervisor.start(stage.spec("one", IGNORES_SIGTERM))
        pid = supervisor.pids()["one"]
    assert not alive(pid)
    assert "one did not stop within 0.1 s: killed" in screen.getvalue()


async def test_stops_one_that_waits_to_be_started_again(stage: Stage) -> None:
    await start_and_break(stage)
    await stage.supervisor.stop()
    assert stage.supervisor.pids() == {}
    assert stage.screen.getvalue().count("started again") == 2


async def test_very_long_lines_and_raw_bytes_go_whole_to_the_log_only(stage: Stage) -> None:
    script = f"import os; os.write(1, b'x' * 300_000 + b'\\n\\xff\\n'); {IDLE}"
    await stage.supervisor.start(stage.spec("one", script))
    await until(lambda: "here" in stage.screen.getvalue())
    log = (stage.state / "logs" / "one.log").read_bytes()
    assert log == b"x" * 300_000 + b"\n\xff\nhere\n"
    assert len(stage.screen.getvalue()) < 5_000
    assert "one   \N{REPLACEMENT CHARACTER}\n" in stage.screen.getvalue()


async def test_colours_only_where_the_console_has_them(tmp_path: Path) -> None:
    for number, (options, coloured) in enumerate(
        [({"color_system": "standard"}, True), ({"no_color": True}, False)]
    ):
        screen = io.StringIO()
        console = Console(file=screen, force_terminal=True, **options)  # type: ignore[arg-type] # options differ in type
        stage = Stage(tmp_path / str(number))
        async with Supervisor(stage.state, console) as supervisor:
            await supervisor.start(stage.spec("one", IDLE))
            await until(lambda screen=screen: "here" in screen.getvalue())  # type: ignore[misc] # binds the loop's variable
        assert ("\x1b[" in screen.getvalue()) is coloured


def replaceable(stage: Stage, name: str, script: str = "") -> ProcessSpec:
    """A Python process that is ready when it has left a file with its own pid."""
    stage.state.mkdir(exist_ok=True)
    sign = str(stage.state / "ready-")

    async def has_signed(pid: int) -> bool:
        return Path(f"{sign}{pid}").exists()

    signs = f"import os; open({sign!r} + str(os.getpid()), 'w').close(); {IDLE}"
    return ProcessSpec(name, [sys.executable, "-c", f"{script}\n{signs}"], ready=has_signed)


#: Writes, when SIGTERM ends it, how many processes had signed that they are ready by then.
COUNTS_AT_ITS_END = """
import glob, os, signal
def end(*_):
    with open(f"{STATE}/ended-{os.getpid()}", "w") as file:
        file.write(str(len(glob.glob(f"{STATE}/ready-*"))))
    os._exit(0)
signal.signal(signal.SIGTERM, end)
"""


async def test_a_restart_has_the_new_one_ready_before_the_old_one_stops(stage: Stage) -> None:
    counts = f"STATE = {str(stage.state)!r}\n{COUNTS_AT_ITS_END}"
    await stage.supervisor.start(replaceable(stage, "one", counts), stage.spec("two", IDLE))
    first = stage.supervisor.pids()
    await stage.supervisor.restart("one")
    assert (stage.state / f"ended-{first['one']}").read_text() == "2"
    second = stage.supervisor.pids()
    assert not alive(first["one"])
    assert (second["two"], alive(second["one"])) == (first["two"], True)
    assert stage.reported[-1] == second
    # It is kept running like the first was.
    os.kill(second["one"], signal.SIGKILL)
    await until(lambda: stage.supervisor.pids().get("one") not in {None, second["one"]})


async def test_a_restart_that_fails_leaves_the_old_one(stage: Stage) -> None:
    once = f"import os; os.open({str(stage.state / 'once')!r}, os.O_CREAT | os.O_EXCL)"
    await stage.supervisor.start(replaceable(stage, "one", once))
    pids = stage.supervisor.pids()
    with pytest.raises(StartError, match="FileExistsError"):
        await stage.supervisor.restart("one")
    assert stage.supervisor.pids() == pids
    assert alive(pids["one"])


async def test_a_restart_kills_what_does_not_stop(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    async with Supervisor(tmp_path, Console(file=stage.screen), grace_seconds=0.3) as supervisor:
        await supervisor.start(stage.spec("one", IGNORES_SIGTERM))
        first = supervisor.pids()["one"]
        await supervisor.restart("one")
        assert not alive(first)
        assert alive(supervisor.pids()["one"])
    assert "one did not stop within 0.3 s: killed" in stage.screen.getvalue()


async def test_readiness_is_not_believed_of_another_process(stage: Stage) -> None:
    (port,) = free_ports(1)
    script = (
        "import http.server, os, json\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200)\n"
        "        self.send_header('content-type', 'application/json')\n"
        "        self.end_headers()\n"
        "        self.wfile.write(json.dumps({'pid': os.getpid()}).encode())\n"
        f"http.server.HTTPServer(('127.0.0.1', {port}), H).serve_forever()\n"
    )
    check = http_ok(f"http://127.0.0.1:{port}/")
    await stage.supervisor.start(ProcessSpec("web", [sys.executable, "-c", script], ready=check))
    pid = stage.supervisor.pids()["web"]
    assert await check(pid)
    assert not await check(pid + 1)


async def test_checks_readiness_over_http_and_tcp(stage: Stage) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/"
    assert not await http_ok(url)(0)
    assert not await tcp_open("127.0.0.1", port)(0)
    argv = [
        sys.executable,
        "-m",
        "http.server",
        str(port),
        "--bind",
        "127.0.0.1",
        "--directory",
        str(stage.state),
    ]
    await stage.supervisor.start(ProcessSpec("web", argv, ready=http_ok(url)))
    assert await tcp_open("127.0.0.1", port)(0)
    assert not await http_ok(f"{url}missing")(0)


@pytest.mark.skipif(die_with_parent() is None, reason="the kernel kills orphans on Linux only")
async def test_nothing_survives_a_killed_supervisor(tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
from pathlib import Path
from waybill_devstack.processes.child import ProcessSpec
from waybill_devstack.processes.supervisor import Supervisor
from rich.console import Console

async def main():
    async with Supervisor(Path({str(tmp_path)!r}), Console(stderr=True)) as supervisor:
        await supervisor.start(ProcessSpec("one", [sys.executable, "-c", {IGNORES_SIGTERM!r}]))
        print(supervisor.pids()["one"], flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    pid = int(await owner.stdout.readline())
    assert alive(pid)
    owner.kill()
    await owner.wait()
    await until(lambda: not alive(pid))
