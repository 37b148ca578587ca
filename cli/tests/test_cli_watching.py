"""What goes on, in words; and beside a bar that takes no part of it."""

import json
import sys
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from command_under_test import EMAIL, NOWHERE, Waybill, ran_apart
from terminal import ran_on_a_terminal

from waybill_cli.session.gateway import Gateway
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_testkit.gateway.served import Served
from waybill_testkit.samples import reported


def test_what_happens_to_a_task_is_told_in_words(gateway: Served, waybill: Waybill) -> None:
    task = gateway.post("/v1/emails", EMAIL)
    result = {"message_id": "<a@b>", "parts": [1, 2], "note": "it's"}
    gateway.happened(
        reported(LifecycleType.STARTED, task),
        reported(LifecycleType.RETRYING, task, seconds_after=1),
        reported(LifecycleType.STARTED, task, attempt=2, seconds_after=8),
        reported(LifecycleType.COMPLETED, task, attempt=2, seconds_after=9, result=result),
    )
    watched = waybill("tasks", "watch", task)
    assert watched.code == 0
    said = [line.split("  ", 1)[1] for line in watched.out.splitlines()[1:-1]]
    assert said[0] == "task.started  email attempt 1 of 4"
    assert said[1].startswith(
        "task.retrying  email attempt 1 of 4: TransientError: refused; next attempt 2026-03-01 "
    )
    assert said[3] == (
        "task.completed  email attempt 2 of 4: took 0.5 s; message_id <a@b>, parts [1, 2], note it's"
    )
    for shown in (watched.out, waybill("tasks", "show", task).out):
        assert not {"{'", "': ", "max_attempts", "next_attempt_at"} & set(shown.split())
        assert "{'" not in shown


def test_a_watch_is_told_and_does_not_ask(
    gateway: Served, waybill: Waybill, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = gateway.post("/v1/emails", EMAIL)
    asked: list[str] = []
    get = Gateway.get

    def noted(self: Gateway, path: str, **params: Any) -> Any:
        asked.append(path)
        return get(self, path, **params)

    monkeypatch.setattr(Gateway, "get", noted)
    # Long after the first answer, while a watch that asks would have asked several times.
    ends = Timer(2, gateway.happened, [reported(LifecycleType.COMPLETED, task)])
    ends.start()
    watched = waybill("tasks", "watch", task)
    ends.join()

    assert watched.code == 0
    assert asked == [f"/v1/tasks/{task}/timeline", f"/v1/tasks/{task}"]


async def test_a_watch_of_a_gateway_that_never_answered_is_given_up_at_once() -> None:
    watched = await ran_apart("tasks", "watch", "01a22a70-ebad-7341-b3c3-5bd5253e4852", "--url", NOWHERE)
    assert "cannot be reached" in watched.err
    assert watched.code == 3


FOLLOWED = """
import sys, time
from waybill_cli.output.output import Output
out = Output(as_json=%s)
with out.bar("redrive 3", 100) as tell:
    for n in range(5):
        tell(n, "canary")
        time.sleep(0.15)
        out.progress({"n": n}, f"redrive 3 is at {n}")
        out.line(f"line {n}")
"""


def test_documents_go_to_stdout_though_a_bar_is_on_the_terminal(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with out.open("wb") as file:
        shown, code = ran_on_a_terminal(
            [sys.executable, "-c", FOLLOWED % True], streams={"stdout": file}, COLUMNS="80"
        )
    assert code == 0, shown
    lines = out.read_text().splitlines()
    assert [json.loads(line) for line in lines[::2]] == [{"n": n} for n in range(5)]
    assert lines[1::2] == [f"line {n}" for n in range(5)]
    assert "redrive 3" in shown
    assert '"n"' not in shown


def test_what_is_said_beside_a_bar_stands_on_lines_of_its_own() -> None:
    shown, code = ran_on_a_terminal([sys.executable, "-c", FOLLOWED % False], COLUMNS="80")
    assert code == 0, shown
    lines = screen(shown)
    assert [line for line in lines if "canary" in line] == []
    assert lines == [f"{what} {n}" for n in range(5) for what in ("redrive 3 is at", "line")]


def screen(shown: str) -> list[str]:
    """What is on a terminal in the end, of what a bar writes: erased lines, and a cursor that goes up."""
    rows, row, place, rest = [""], 0, 0, shown
    while rest:
        if rest.startswith("\x1b["):
            end = next(n for n, c in enumerate(rest[2:], 2) if c.isalpha())
            number, what, rest = rest[2:end], rest[end], rest[end + 1 :]
            if what == "A":
                row -= int(number or 1)
            elif what == "K":
                rows[row] = "" if number == "2" else rows[row][:place]
            continue
        char, rest = rest[0], rest[1:]
        if char == "\r":
            place = 0
        elif char == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        else:
            rows[row] = rows[row].ljust(place)[:place] + char + rows[row][place + 1 :]
            place += 1
    return [line.rstrip() for line in rows if line.strip()]
