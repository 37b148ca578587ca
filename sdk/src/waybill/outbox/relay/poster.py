"""Posting rows to the gateway: what is sent, and what an answer means for each row."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from waybill.client import Client, Submission
from waybill.outbox.relay.leases import Row
from waybill.problems import ClientError, FieldError, InternalError, ProblemError, UnexpectedAnswerError

#: Answers that say something of the rows, not of the gateway or of the key.
_OF_ROWS: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
_SEND_AT: Final = "/send_at"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The tasks of all rows are accepted, now or by an earlier post."""


@dataclass(frozen=True, slots=True)
class Refused:
    """None is accepted, because some of them cannot be."""

    #: What the gateway says of all.
    detail: str
    #: What is wrong with which, by its place among the posted rows; without `past`, empty: it is not said.
    faults: Mapping[int, str]
    #: Those with which nothing is wrong but that their time has passed.
    past: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class NotAnswered:
    """They are to be posted again: it is not known, or not yet decided, what becomes of them."""

    #: What happened.
    detail: str
    #: They may have been accepted.
    may_be_accepted: bool
    #: Seconds after which the gateway asks for a repeat.
    retry_after: float | None = None
    #: One of the rows may be the cause, not the gateway.
    is_of_rows: bool = False


Outcome = Accepted | Refused | NotAnswered


class Poster:
    """Posts rows to a gateway.

    Args:
        client: a client that makes one attempt for each call: the relay itself repeats them.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def post(self, rows: Sequence[Row]) -> Outcome:
        """Posts rows together; either all of them are accepted, or none."""
        submissions, faults = _submissions(rows)
        if faults:
            return Refused("some of the rows cannot be read", faults)
        return self._posted(rows, submissions)

    def close(self) -> None:
        """Closes its connections."""
        self._client.close()

    def _posted(self, rows: Sequence[Row], submissions: Sequence[Submission]) -> Outcome:
        try:
            self._client.submit_many(submissions)
        except ProblemError as problem:
            if problem.status in _OF_ROWS:
                return _refused(rows, problem)
            return _not_answered(problem, is_of_rows=isinstance(problem, InternalError))
        except ClientError as error:
            if (
                isinstance(error, UnexpectedAnswerError)
                and error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            ):
                # Of a proxy on the way: fewer rows may pass, and one that does not is refused.
                return Refused(str(error), {})
            return _not_answered(error)
        except Exception as error:  # noqa: BLE001 - whatever the application's function for the key raises
            return NotAnswered(f"the API key cannot be read: {error}", may_be_accepted=False)
        return Accepted()


def _submissions(rows: Sequence[Row]) -> tuple[list[Submission], dict[int, str]]:
    """What the rows are, and the faults of those that another program has written and that are nothing."""
    submissions, faults = [], {}
    for place, row in enumerate(rows):
        try:
            submissions.append(_submission(row))
        except (ValueError, TypeError) as error:
            faults[place] = f"the row cannot be read: {error}"
    return submissions, faults


def _submission(row: Row) -> Submission:
    # A repeat has the same content, so that its key is recognised.
    send_at = None if row.send_at is None else datetime.fromisoformat(row.send_at)
    return Submission(
        row.kind,
        json.loads(row.data),
        key=row.key,
        version=row.version,
        send_at=send_at,
        priority=row.priority or "normal",
        request_id=row.id,
        traceparent=row.traceparent,
    )


def _not_answered(error: ClientError, *, is_of_rows: bool = False) -> NotAnswered:
    return NotAnswered(str(error), error.may_have_taken_effect, error.retry_after, is_of_rows)


def _refused(rows: Sequence[Row], problem: ProblemError) -> Refused:
    refused = problem.refused
    past = frozenset(place for place, errors in refused.items() if _is_only_late(rows[place], errors))
    faults = {place: _in_words(problem, errors) for place, errors in refused.items() if place not in past}
    return Refused(str(problem), faults, past)


def _in_words(problem: ProblemError, errors: Sequence[FieldError]) -> str:
    return f"{problem.code}: " + "; ".join(f"{each.field or '/'}: {each.message}" for each in errors)


def _is_only_late(row: Row, errors: Sequence[FieldError]) -> bool:
    is_late = row.send_at is not None and datetime.fromisoformat(row.send_at) < datetime.now(UTC)
    return is_late and all(error.field == _SEND_AT for error in errors)
