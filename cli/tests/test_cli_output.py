import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from terminal import on_a_terminal

from waybill_cli.main import run
from waybill_cli.output.output import Output
from waybill_cli.output.printable import make_printable
from waybill_cli.output.task_views import attempt_of
from waybill_cli.output.times import Moment, age

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG = "x" * 300
#: More than pydantic, HTTP or the broker's client take: help must be there at once.
SLOW_TO_LOAD = {"httpx", "pydantic", "aio_pika", "rich", "asyncio"}


def test_a_piped_table_has_whole_columns_and_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).table(("ID", "STATE", "ABOUT"), [("1", "failed", LONG), ("22", "completed", None)])
    assert capsys.readouterr().out.splitlines() == [
        "ID  STATE      ABOUT",
        f"1   failed     {LONG}",
        "22  completed  -",
    ]


def test_an_empty_table_is_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).table(("ID", "STATE"), [])
    assert capsys.readouterr().out == "ID  STATE\n"


def test_on_a_terminal_long_cells_are_folded_and_words_coloured() -> None:
    code = f"""
from waybill_cli.output.output import Output
Output(as_json=False).table(("ID", "STATE", "ABOUT"), [("1", "failed", "{LONG}")])
"""
    shown = on_a_terminal(code, COLUMNS="60", TERM="xterm-256color")
    assert "\x1b[31mfailed" in shown
    assert shown.count("x") == len(LONG)
    plain = on_a_terminal(code, COLUMNS="60", TERM="xterm-256color", NO_COLOR="1")
    assert "\x1b[" not in plain


def test_on_a_terminal_an_id_stays_whole_to_be_copied() -> None:
    code = f"""
from waybill_cli.output.output import Output
Output(as_json=False).table(("ID", "ABOUT", "ERROR"), [("{"7" * 36}", "{LONG}", "{LONG}")])
"""
    shown = on_a_terminal(code, COLUMNS="80", TERM="xterm-256color")
    assert "7" * 36 in shown
    assert shown.count("x") == 2 * len(LONG)
    assert on_a_terminal(code, COLUMNS="40", TERM="xterm-256color").count("7") == 36


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\rb", "a\nb", "\x9b31m", "\u202e", "\u2028"])
def test_text_from_outside_cannot_steer_the_terminal(hostile: str) -> None:
    assert make_printable(hostile).isprintable()


def test_lines_are_kept_where_they_are_meant() -> None:
    assert make_printable("a\n\tb\x1b", lines=True) == "a\n\tb "


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (172800, "2d"), (-240, "in 4m")],
)
def test_ages_are_told_in_their_largest_unit(seconds: int, told: str) -> None:
    assert age((NOW - timedelta(seconds=seconds)).isoformat(), NOW) == told


@pytest.mark.parametrize(("most", "shown"), [(16, "1/16"), (None, "1")])
def test_an_attempt_has_its_limit_where_that_is_known(most: int | None, shown: str) -> None:
    assert attempt_of({"attempt": 1, "max_attempts": most}) == shown


def test_moments_are_ago_or_iso() -> None:
    ago = Moment().convert("2h", None, None)
    assert timedelta(hours=2) <= datetime.now(UTC) - ago < timedelta(hours=2, minutes=5)
    assert Moment().convert("2026-03-01T12:00:00Z", None, None) == NOW
    assert Moment().convert("2026-03-01T12:00", None, None).tzinfo is not None


@pytest.mark.parametrize("wrong", ["yesterday", "2x", "h", "", "9999999h", "2026-13-01"])
def test_what_is_no_moment_is_a_usage_error(wrong: str) -> None:
    with pytest.raises(click.BadParameter, match="is neither like"):
        Moment().convert(wrong, None, None)


def test_help_loads_nothing_that_is_slow() -> None:
    code = (
        "import sys; from waybill_cli.main import run; code = run(['--help']);"
        f"print(code, sorted({SLOW_TO_LOAD!r} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize("command", ["tasks", "accounting", "schedules", "audit", "dlq", "persons", "keys"])
def test_commands_that_only_call_the_gateway_load_no_contracts(command: str) -> None:
    # Their models take a third of a second.
    code = (
        f"import sys; from waybill_cli.main import run; run([{command!r}, 'ls', '--help']);"
        f"import waybill_cli.commands.{command}; print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    "wrong",
    [
        ["tasks", "cancle"],
        ["tasks", "show", "7x"],
        ["tasks", "ls", "--state", "done"],
        ["tasks", "ls", "--limit", "0"],
    ],
)
def test_a_wrong_command_line_exits_2(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(wrong) == 2
    assert "Usage: waybill tasks" in capsys.readouterr().err


def test_ctrl_c_exits_130_quietly(tmp_path: Path) -> None:
    code = """
import signal, threading, os
# As in a terminal; whoever runs the tests in the background has it ignored, and that is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
from waybill_cli.main import main
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
kept = []  # closed, the connection would be an answer too
def interrupt():
    kept.append(listener.accept())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
sys.argv = ["waybill", "tasks", "ls", "--url", f"http://127.0.0.1:{listener.getsockname()[1]}"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")
