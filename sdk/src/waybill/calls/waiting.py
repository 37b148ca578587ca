"""Waiting for the end of a task by calls that each wait for a while, without I/O."""

import time
from typing import Final

from waybill.answers import Task
from waybill.problems import NotEndedError

#: Seconds that one call waits at most: less than proxies leave a connection idle for.
_LONGEST: Final = 30.0
#: Seconds that the answer may come later than asked for.
_LATE: Final = 1.0


class Waiting:
    """How long to wait for a task.

        waiting = Waiting(timeout)
        while not waiting.is_over(task := run(wait(task_id, waiting.seconds, waiting.within))):
            pass

    Args:
        timeout: seconds at most; None: no limit.
    """

    def __init__(self, timeout: float | None) -> None:
        self._ends = None if timeout is None else time.monotonic() + timeout

    @property
    def seconds(self) -> float:
        """Seconds that the next call waits."""
        return _LONGEST if self._ends is None else min(max(self._ends - time.monotonic(), 0), _LONGEST)

    @property
    def within(self) -> float | None:
        """Seconds within which the answer must have come, whether there is a gateway or not."""
        return None if self._ends is None else max(self._ends - time.monotonic(), 0) + _LATE

    def is_over(self, task: Task) -> bool:
        """Whether the task has ended.

        Raises:
            NotEndedError: it has not, and the time is over.
        """
        if task.is_ended:
            return True
        if self._ends is not None and time.monotonic() >= self._ends:
            raise NotEndedError(task.id, str(task.state))
        return False
