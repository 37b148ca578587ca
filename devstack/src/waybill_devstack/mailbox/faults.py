"""Faults of the mailbox, on demand."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: ok: no fault. reject, tempfail: 550, 451 in answer to RCPT. hang: no answer to MAIL FROM. drop: the
#: connection is closed at DATA, the mail is not taken. drop_after: the mail is taken and kept, then the
#: connection is closed without an answer, so that the sender cannot know.
Mode = Literal["ok", "reject", "tempfail", "hang", "drop", "drop_after"]
#: More mails than any demo sends; a limit on input.
MAX_COUNT = 1_000_000


class Fault(BaseModel):
    """The body of `POST /api/faults`: `mode` for the next `count` mails, for ever without `count`."""

    model_config = ConfigDict(extra="forbid")

    mode: Mode
    count: int | None = Field(default=None, ge=1, le=MAX_COUNT)


class Faults:
    """Fault in force; each mail counts it down."""

    def __init__(self) -> None:
        self.current = Fault(mode="ok")

    def set(self, fault: Fault) -> None:
        """Replace the fault in force."""
        self.current = fault

    def take(self) -> Mode:
        """The mode for a mail that begins now; counts it."""
        fault = self.current
        if fault.count is not None:
            left = fault.count - 1
            self.current = fault.model_copy(update={"count": left}) if left else Fault(mode="ok")
        return fault.mode
