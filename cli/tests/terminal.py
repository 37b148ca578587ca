"""A terminal of a size of its own, and what a program shows on it."""

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from typing import Any


def on_a_terminal(code: str, **environment: str) -> str:
    """What Python code shows on a terminal that is all of its streams."""
    shown, code_of_exit = ran_on_a_terminal([sys.executable, "-c", code], **environment)
    assert code_of_exit == 0, shown
    return shown


def ran_on_a_terminal(
    command: Sequence[str], *, typed: str = "", streams: Any = None, **environment: str
) -> tuple[str, int]:
    """What a command shows on a terminal, and how it ended.

    Args:
        command: what is run.
        typed: by the person in front of it.
        streams: those of its streams that are no terminal, as `Popen` takes them.
        environment: beside this process's own; `COLUMNS` is how wide the terminal is.
    """
    ours, theirs = pty.openpty()
    own: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": theirs} | (streams or {})
    with subprocess.Popen(command, env=os.environ | {"TERM": "xterm"} | environment, **own) as child:
        os.close(theirs)
        if typed:
            os.write(ours, typed.encode())
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:  # how Linux tells that the other end is closed
            pass
        os.close(ours)
    return shown.decode(), child.returncode
