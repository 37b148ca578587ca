"""Ties the life of a child process to that of the process that started it."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

#: Of <linux/prctl.h>: the signal that the kernel sends a process when its parent dies.
PR_SET_PDEATHSIG = 1


def die_with_parent() -> Callable[[], None] | None:
    """A `preexec_fn` that makes the kernel kill the child when this process ends, for any reason.

    Linux only (None elsewhere), and only from the main thread: the kernel watches the thread that started the
    child, and a worker thread may well end before its process. See prctl(2).
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    # Loaded here: between fork and exec as little as possible may happen.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os.kill(os.getpid(), signal.SIGKILL)

    return tie
