"""The states of tasks and subtasks; docs/states.md has the state machine."""

from enum import StrEnum


class State(StrEnum):
    """The state of a task or subtask."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    #: Enum's own is a function in Python, and a merge looks states up dozens of times.
    __hash__ = str.__hash__

    @property
    def is_terminal(self) -> bool:
        """Whether this state is an outcome. Only a redrive leaves one, and only `failed`."""
        return self in _TERMINAL


_TERMINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
