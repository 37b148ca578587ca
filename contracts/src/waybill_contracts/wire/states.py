"""The states of tasks and subtasks; docs/states.md draws the machine."""

from enum import StrEnum


class State(StrEnum):
    """Where a task or subtask is."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether this is an outcome. Only a redrive reopens one, and only `failed`."""
        return self in _TERMINAL


_TERMINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
