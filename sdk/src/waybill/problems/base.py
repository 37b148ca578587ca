"""The errors that are raised for a call, and how one is made from an answer."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Final, Self

#: The prefix of a problem's type; its code follows.
_TYPE_PREFIX: Final = "urn:waybill:problem:"
#: Statuses after which a repeat may succeed.
_TEMPORARY: Final = frozenset({408, 429, 500, 502, 503, 504})
#: What is shown of an answer that is no problem document.
_SHOWN_CHARACTERS: Final = 200
#: A place in a list of tasks, and the place in that task: a JSON Pointer, or the names of fields with dots.
_TASK: Final = re.compile(r"(?:/tasks/|tasks\.)(\d+)(?=[/.]|$)(.*)", re.DOTALL)


class ClientError(Exception):
    """A call failed: the base of all errors that the clients raise for one.

    try:
        client.submit(event)
    except ClientError as error:
        print("later" if error.is_temporary else "never", error)
    """

    #: Seconds after which the server asks for a repeat; None: it asks for none.
    retry_after: float | None = None

    @property
    def is_temporary(self) -> bool:
        """Whether a repeat of the call may succeed."""
        return False

    @property
    def may_have_taken_effect(self) -> bool:
        """Whether the call may have been carried out: repeat it only with its Idempotency-Key."""
        return False


class UnreachableError(ClientError):
    """The gateway did not answer.

        try:
            client.submit(event, key="order-17")
        except UnreachableError as error:
            print("with the same key" if error.may_have_taken_effect else "nothing was sent")

    Args:
        message: what happened.
        may_have_taken_effect: the request was sent, as far as is known.
    """

    def __init__(self, message: str, may_have_taken_effect: bool = True) -> None:  # noqa: FBT001, FBT002 - pickle gives it by position
        super().__init__(message, may_have_taken_effect)
        self._sent = may_have_taken_effect

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def is_temporary(self) -> bool:
        """True: the gateway may be back in a moment."""
        return True

    @property
    def may_have_taken_effect(self) -> bool:
        """Whether the request was sent, as far as is known."""
        return self._sent


class UnexpectedAnswerError(ClientError):
    """The answer is not one of a gateway: of a proxy in between, of another server, or of a newer release.

        try:
            client.submit(event)
        except UnexpectedAnswerError as error:
            print(error.status, "is this the URL of a gateway?")

    Args:
        status: HTTP status.
        message: what is wrong with it.
        retry_after: seconds after which the server asks for a repeat.
    """

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(status, message, retry_after)
        self.status = status
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.status}: {self.args[1]}"

    @property
    def is_temporary(self) -> bool:
        """Whether the status says that a repeat may succeed."""
        return self.status in _TEMPORARY

    @property
    def may_have_taken_effect(self) -> bool:
        """True: nothing in the answer says otherwise."""
        return True


class NotEndedError(ClientError, TimeoutError):
    """A task that was waited for has not ended in time; it goes on.

        try:
            client.wait(accepted.id, timeout=0.1)
        except NotEndedError as error:
            print(error.task_id, error.state)

    Args:
        task_id: of the task.
        state: its state.
    """

    def __init__(self, task_id: str, state: str) -> None:
        super().__init__(task_id, state)
        self.task_id = task_id
        self.state = state

    def __str__(self) -> str:
        return f"the task {self.task_id} has not ended in time; it is {self.state}"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong: a field, or a JSON Pointer into the body, and what is wrong with it.

    try:
        client.submit("email.requested", {"to": "nobody"})
    except ProblemError as problem:
        print([(each.field, each.message) for each in problem.errors])
    """

    field: str
    message: str


class ProblemError(ClientError):
    """The gateway refused the call, or cannot carry it out: a problem document (RFC 9457).

    Each code has a class of its own, which says what it means. A code that this release does not know is
    raised as this class.

        try:
            client.submit(event)
        except InvalidDataError as problem:
            print(problem.errors)

    Attributes:
        code: the last part of its type.
        status: HTTP status.
        title, detail: for people; detail says what to do.
        errors: what is wrong, field by field.
    """

    code: str = ""
    _classes: ClassVar[dict[str, type["ProblemError"]]] = {}
    #: Whether the gateway says of this code that nothing was done.
    NOTHING_DONE: ClassVar[bool] = False
    #: Whether a repeat may succeed, if the status does not say so.
    TEMPORARY: ClassVar[bool] = False

    def __init_subclass__(cls, code: str | None = None) -> None:
        if code is not None:
            cls.code = code
            ProblemError._classes[code] = cls

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        errors: tuple[FieldError, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, code, title, detail, errors, retry_after)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.errors = errors
        self.retry_after = retry_after

    def __str__(self) -> str:
        wrong = "".join(f"; {each.field}: {each.message}" for each in self.errors)
        return f"{self.status} {self.code}: {self.detail}{wrong}"

    @property
    def is_temporary(self) -> bool:
        """Whether a repeat of the call may succeed."""
        return self.status in _TEMPORARY or self.TEMPORARY

    @property
    def may_have_taken_effect(self) -> bool:
        """Whether the call may have been carried out, as with an internal error."""
        return self.status >= 500 and not self.NOTHING_DONE  # noqa: PLR2004 - errors of servers begin there

    @property
    def refused(self) -> dict[int, list[FieldError]]:
        """What is wrong with which task of `submit_many`, by its place in the list, from 0.

        The gateway lists fifty faults at most: once these tasks are left out, others may be refused.

            try:
                client.submit_many(tasks)
            except ProblemError as problem:
                rest = [task for n, task in enumerate(tasks) if n not in problem.refused]
        """
        found: dict[int, list[FieldError]] = {}
        for each in self.errors:
            place = _TASK.match(each.field)
            if place is not None:
                field = place[2].replace(".", "/") if each.field.startswith("tasks") else place[2]
                found.setdefault(int(place[1]), []).append(FieldError(field, each.message))
        return found

    @classmethod
    def of(cls, status: int, document: dict[str, Any], retry_after: float | None) -> Self:
        """The error of a problem document, in the class of its code.

        Raises:
            KeyError, TypeError: it is none.
        """
        code = str(document["type"]).removeprefix(_TYPE_PREFIX)
        errors = tuple(
            FieldError(str(each["field"]), str(each["message"])) for each in document.get("errors") or ()
        )
        made: Any = cls._classes.get(code, cls)
        problem: Self = made(
            status, code, str(document["title"]), str(document["detail"]), errors, retry_after
        )
        return problem


def error_of(status: int, content: bytes, retry_after: str | None) -> ClientError:
    """The error that an answer stands for.

        problem = error_of(503, b"Bad Gateway", "5")
        assert (problem.is_temporary, problem.retry_after) == (True, 5)

    Args:
        status: HTTP status, not one of success.
        content: body of the answer.
        retry_after: value of its header Retry-After.
    """
    wait = seconds_of(retry_after)
    try:
        return ProblemError.of(status, json.loads(content), wait)
    except (ValueError, KeyError, TypeError, AttributeError):
        shown = content[:_SHOWN_CHARACTERS].decode("utf-8", "replace")
        return UnexpectedAnswerError(status, f"no problem document, but {shown!r}", wait)


def seconds_of(retry_after: str | None) -> float | None:
    """The wait that a header Retry-After asks for, as seconds or as a date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0)
