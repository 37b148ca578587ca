"""State of the crm: records, the answers to idempotency keys, and a log of the calls."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

#: Records, keys and logged calls that are kept, each; the oldest go first.
MAX_KEPT = 10_000

#: written: the record was written. replayed: the first answer to the same key and body was repeated,
#: nothing was written. fault: a fault was the answer. refused: the call was wrong (no JSON object; key of
#: another write).
Outcome = Literal["written", "replayed", "fault", "refused"]


class Record(BaseModel):
    """A record as it is now; `version` counts its writes from 1."""

    resource: str
    id: str
    data: dict[str, Any]
    version: int
    updated_at: datetime


class Call(BaseModel):
    """A write call and its outcome; `status` is that of the answer."""

    at: datetime
    method: str
    path: str
    idempotency_key: str | None
    status: int
    outcome: Outcome


@dataclass(frozen=True)
class Answer:
    """Answer to a write."""

    status: int
    record: Record


@dataclass(frozen=True)
class _Used:
    """An idempotency key's first use."""

    write: tuple[str, str, dict[str, Any]]
    answer: Answer


class KeyReusedError(Exception):
    """The idempotency key was used before, for another record or other data."""


class Records:
    """Records, keys and calls, without HTTP."""

    def __init__(self, max_kept: int = MAX_KEPT) -> None:
        self._records: OrderedDict[tuple[str, str], Record] = OrderedDict()
        self._used: OrderedDict[str, _Used] = OrderedDict()
        self._calls: deque[Call] = deque(maxlen=max_kept)
        self._max_kept = max_kept

    def write(
        self, resource: str, record_id: str, data: dict[str, Any], key: str | None
    ) -> tuple[Answer, Outcome]:
        """Write a record whole, once for each idempotency key.

        Returns:
            The answer (201 for a new record, 200 for a later version) and whether it was `written` or
            `replayed`.

        Raises:
            KeyReusedError: `key` was used for another record or other data.
        """
        write = (resource, record_id, data)
        used = self._used.get(key) if key is not None else None
        if used is not None:
            if used.write != write:
                raise KeyReusedError
            return used.answer, "replayed"
        before = self._records.get((resource, record_id))
        record = Record(
            resource=resource,
            id=record_id,
            data=data,
            version=before.version + 1 if before else 1,
            updated_at=datetime.now(UTC),
        )
        answer = Answer(200 if before else 201, record)
        self._records[resource, record_id] = record
        self._records.move_to_end((resource, record_id))
        _drop_oldest(self._records, self._max_kept)
        if key is not None:
            self._used[key] = _Used(write, answer)
            _drop_oldest(self._used, self._max_kept)
        return answer, "written"

    def log(self, call: Call) -> None:
        """Note a call; the newest `max_kept` are kept."""
        self._calls.append(call)

    def all(self) -> list[Record]:
        """Every kept record, the one written last at the end."""
        return list(self._records.values())

    def calls(self) -> list[Call]:
        """The kept calls in the order in which they came."""
        return list(self._calls)

    def clear(self) -> None:
        """Delete records, keys and calls."""
        self._records.clear()
        self._used.clear()
        self._calls.clear()


def _drop_oldest(kept: OrderedDict[Any, Any], limit: int) -> None:
    while len(kept) > limit:
        kept.popitem(last=False)
