import json
from datetime import UTC, datetime

import pytest

from waybill_devstack.processes.log_lines import MAX_SHOWN_CHARS, render

NOON = datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)
CLOCK = NOON.astimezone().strftime("%H:%M:%S")


def plain(word: str, text: str) -> str:
    assert word
    return text


def shown(line: str) -> str:
    return render(line, "email ", plain, now=NOON)


def test_lays_out_a_log_line() -> None:
    line = json.dumps(
        {
            "timestamp": "2026-11-23T12:00:01.5Z",
            "level": "info",
            "event": "mail sent",
            "task_id": "0192",
            "attempt": 1,
        }
    )
    assert render(line, "email ", plain) == f"{CLOCK} email  info    mail sent  task_id=0192 attempt=1"


def test_quotes_values_that_would_run_together_or_hide() -> None:
    line = json.dumps(
        {"level": "info", "event": "x", "a": "two words", "b": "", "c": "\x1b[2J", "d": {"e": None}}
    )
    assert shown(line).endswith('x  a="two words" b="" c="\\u001b[2J" d={"e": null}')


def test_shows_a_traceback_on_lines_of_its_own() -> None:
    line = json.dumps({"level": "error", "event": "failed", "exception": "Traceback:\n  here\nValueError: x"})
    assert shown(line).splitlines() == [
        f"{CLOCK} email  error   failed",
        "         email  Traceback:",
        "         email    here",
        "         email  ValueError: x",
    ]


@pytest.mark.parametrize(
    "line", ["hello", "{not json", '{"json": "but no log line"}', "[1]", "{" * 100_000 + "x", '{"level": 1}']
)
def test_leaves_other_lines_as_they_are(line: str) -> None:
    assert shown(line).startswith(f"{CLOCK} email  {line[:100]}")


@pytest.mark.parametrize("timestamp", ["yesterday", 12, None])
def test_a_line_with_an_odd_time_gets_that_of_its_arrival(timestamp: object) -> None:
    line = json.dumps({"timestamp": timestamp, "level": "info", "event": "x"})
    assert shown(line).startswith(f"{CLOCK} email  info ")


def test_takes_no_colours_and_cursor_movements_from_a_child() -> None:
    assert shown("\x1b[31mred\x1b[0m\x07\tx").endswith("email  red\tx")


def test_cuts_long_lines() -> None:
    text = shown("x" * 10_000)
    assert len(text) < MAX_SHOWN_CHARS + 100
    assert text.endswith("… (10000 characters)")
    assert (
        len(shown(json.dumps({"level": "info", "event": "x", "data": "y" * 10_000}))) < MAX_SHOWN_CHARS + 100
    )
