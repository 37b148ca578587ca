"""The overview in a terminal: once for a pipe, again and again for a person."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
from datetime import UTC, datetime

from command_under_test import EMAIL, NOWHERE, Waybill

from waybill_cli.main import run
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_testkit.gateway.served import Served
from waybill_testkit.samples import NOON, reported


def test_a_pipe_gets_the_numbers_once(gateway: Served, waybill: Waybill) -> None:
    task = gateway.post("/v1/emails", EMAIL)
    now = (datetime.now(UTC) - NOON).total_seconds()
    gateway.happened(
        reported(LifecycleType.STARTED, task, seconds_after=now),
        reported(LifecycleType.COMPLETED, task, seconds_after=now),
    )
    shown = waybill("top")

    assert shown.code == 0
    assert "The status service has measured nothing yet. It records" in shown.out
    [row] = [line.split() for line in shown.out.splitlines() if line.startswith("email.requested")]
    # One in an hour and a part of a minute; each attempt that was reported took half a second.
    assert 1 / 61 < float(row[1]) <= 1 / 60 + 1e-4
    assert row[2:5] == [row[1], "0", "0"]
    assert row[-3].endswith("ms")
    stats = waybill("top", "--json", "--within", "1d").document
    assert (stats["total"]["accepted"], stats["total"]["completed"]) == (1, 1)
    assert waybill("top", "--json", "--kind", "sync.requested").document["total"]["accepted"] == 0


def heed_interrupts() -> None:
    """What began these tests in the background may have them, and their children, ignore interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_terminal_gets_them_again_and_again(gateway: Served) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "waybill_cli", "top", "--url", gateway.url, "--every", "1"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(
        command,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - it only makes a system call
    ) as child:
        os.close(theirs)
        shown = b""
        while shown.count(b"Waybill, ") < 3:
            shown += os.read(ours, 4096)
        child.send_signal(signal.SIGINT)
        # A terminal takes all that is written, until nobody can write to it any more.
        with contextlib.suppress(OSError):
            while os.read(ours, 4096):
                pass
    os.close(ours)

    assert child.returncode == 130
    assert shown.count(b"\x1b[2J") >= 3, "each on a clear screen"


def test_a_gateway_that_is_away_is_said() -> None:
    assert run(["top", "--url", NOWHERE]) == 3
    assert run(["top", "--within", "2h"]) == 2
