"""What the measuring needs to know of a system."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from bench.kit.load import Target
from bench.kit.place import Place
from bench.kit.programs import Program


class System(Protocol):
    """A way to run background work, with an HTTP gateway before it."""

    NAME: ClassVar[str]
    #: What is kept of a task, in words for the table.
    RECORDS: ClassVar[str]
    #: How it was set up, in words for the table.
    SETUP: ClassVar[str]
    #: Whether its place has a database in PostgreSQL.
    NEEDS_POSTGRES: ClassVar[bool]
    #: What takes many tasks in one post, and how many; None: it has no such route.
    BULK: ClassVar[tuple[Target, int] | None]

    def __init__(self, place: Place) -> None: ...

    def prepare(self) -> None:
        """Makes what must be there before its processes start."""

    def accepting(self) -> Sequence[Program]:
        """The processes that accept tasks."""

    def working(self) -> Sequence[Program]:
        """The processes that run them."""

    def outstanding(self) -> int:
        """How many accepted tasks are not at the broker yet."""

    def recorded(self, posted: int) -> int:
        """How many outcomes are recorded by now, of the first `posted` tasks; asked often, so it is cheap."""

    def without_outcome(self, accepted: Mapping[str, int]) -> set[str]:
        """Those of the accepted tasks (id to number) that have no recorded success."""

    def close(self) -> None:
        """Lets go of what the questions above needed."""
