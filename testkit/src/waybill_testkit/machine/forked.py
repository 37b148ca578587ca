"""Processes that are forked from one that has imported everything, instead of started from nothing."""

import gc
import os
import runpy
import signal
import socket
import sys
from collections.abc import Mapping
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Final

#: Processes of `multiprocessing` that are forked in the same way.
FORKS: Final = get_context("forkserver")
FORKS.set_forkserver_preload([__name__ + "_imports"])


class ForkedProcess:
    """`python -m module arguments`, or `python script arguments`, without the seconds that imports take.

    For tests that kill processes by the dozen: importing the product takes each of them longer than what it
    is killed at. Each is a fork of one server of the test process (see `multiprocessing`), which has imported
    what most of them need; it has its own arguments, environment and output. Its
    methods are those of `subprocess.Popen`.

    Args:
        program: name of a module, or path of a script.
        arguments: of the command line.
        env: its whole environment; None: a copy of this process's.
        log: standard output and error are appended to this file; None: they go nowhere.
        errors: standard error is appended to this file instead.
        sockets: that it gets too, by the environment variable with the number of their descriptor.

    Example:
        ```python
        child = ForkedProcess("waybill_email", env=os.environ | {"WAYBILL_AMQP_URL": url})
        child.kill()
        assert child.wait() == -signal.SIGKILL
        ```
    """

    def __init__(
        self,
        program: str | Path,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        errors: Path | None = None,
        sockets: Mapping[str, socket.socket] = MappingProxyType({}),
    ) -> None:
        for output in (log, errors):
            if output is not None:
                output.touch()
        words = [str(argument) for argument in arguments]
        order = (
            program,
            words,
            dict(os.environ if env is None else env),
            (log, errors or log),
            dict(sockets),
        )
        self._process = FORKS.Process(target=_become, args=order)
        self._process.start()
        self.pid: Final = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the number of the signal that ended it, negated; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same: `returncode`."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end; see `returncode`.

        Args:
            timeout: seconds.

        Raises:
            TimeoutError: it still runs after that time.
        """
        self._process.join(timeout)
        if (code := self.returncode) is None:
            raise TimeoutError(f"process {self.pid} still runs after {timeout} s")
        return code

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Sends it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends it SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _become(
    program: str | Path,
    arguments: list[str],
    environment: dict[str, str],
    outputs: tuple[Path | None, Path | None],
    sockets: dict[str, socket.socket],
) -> None:
    for stream, output in enumerate(outputs, start=1):
        opened = os.open(output or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(opened, stream)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.environ.update({name: str(each.detach()) for name, each in sockets.items()})
    sys.argv = [str(program), *arguments]
    gc.enable()
    try:
        if isinstance(program, Path):
            sys.path.insert(0, str(program.parent))
            runpy.run_path(str(program), run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    except Exception:  # noqa: BLE001 - as the interpreter does: a hook may be set
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
