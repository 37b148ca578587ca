"""The keys that this process has seen: read from the ledger now and then, from memory for each request."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Annotated, Final

from aiolimiter import AsyncLimiter
from cachetools import LRUCache, TTLCache
from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError

from waybill_database import Records
from waybill_ledger import Key, get_key, get_keys, note_use
from waybill_worker.observe import get_logger
from waybill_worker.runtime import PeriodicTask

log = get_logger(__name__)

#: Keys in memory, valid ones and unknown ids: some megabytes at most.
MOST_KEYS: Final = 10_000
#: Seconds between two writes of the last use of keys.
NOTE_SECONDS: Final = 60.0


@dataclass(slots=True)
class KnownKey:
    """A key, and its use in this process."""

    key: Key
    #: By the monotonic clock, in seconds: from then on the key is read again.
    stale_at: float
    limiter: AsyncLimiter
    used_at: datetime | None = None


class KnownKeys(PeriodicTask):
    """Finds keys by their ids.

    Args:
        records: the ledger.
        fresh_seconds: for how long a key is used without reading it again, and so for how long a key that was
            revoked elsewhere may still be valid here.
    """

    NAME = "known keys"

    def __init__(self, records: Records, *, fresh_seconds: float) -> None:
        super().__init__(every_seconds=NOTE_SECONDS, waits_first=True)
        self._records = records
        self._fresh_seconds = fresh_seconds
        self._known: LRUCache[str, KnownKey] = LRUCache(MOST_KEYS)
        self._unknown: TTLCache[str, bool] = TTLCache(MOST_KEYS, ttl=fresh_seconds)
        self._looking: dict[str, asyncio.Task[KnownKey | None]] = {}
        self._used: set[str] = set()

    def knows(self, key_id: str) -> bool:
        """Whether `find` can answer without the ledger, or the id was that of a key before."""
        return key_id in self._known or key_id in self._unknown

    async def find(self, key_id: str) -> KnownKey | None:
        """The key of this id, as the ledger had it at most `fresh_seconds` ago; None if there is none.

        Raises:
            SQLAlchemyError: the ledger had to be read, and did not answer.
        """
        known = self._known.get(key_id)
        if known is not None and monotonic() < known.stale_at:
            return known
        if key_id in self._unknown:
            return None
        # One read for all requests that wait for it.
        looking = self._looking.get(key_id)
        if looking is None:
            looking = asyncio.create_task(self._look_up(key_id))
            self._looking[key_id] = looking
            looking.add_done_callback(partial(self._looked, key_id))
        return await asyncio.shield(looking)

    async def read(self, key_ids: Collection[str]) -> dict[str, Key]:
        """Those of these keys that there are, by id, as the ledger has them now.

        Raises:
            SQLAlchemyError: the ledger did not answer.
        """
        return await self._records.read(partial(get_keys, key_ids=key_ids)) if key_ids else {}

    def invalidate(self, key_id: str) -> None:
        """Makes the next request read the key again, and all that wait for it: it was changed here."""
        self._looking.pop(key_id, None)
        self._unknown.pop(key_id, None)
        if (known := self._known.get(key_id)) is not None:
            known.stale_at = 0

    def used(self, known: KnownKey, now: datetime) -> None:
        """Records in memory that a key was used; a later write puts it into the ledger."""
        known.used_at = now
        self._used.add(known.key.id)

    async def stop(self) -> None:
        """Writes the uses that are not written yet, and stops."""
        await super().stop()
        await self._note_use()

    async def _look_up(self, key_id: str) -> KnownKey | None:
        asked_at = monotonic()
        key = await self._records.read(partial(get_key, key_id=key_id))
        if self._looking.get(key_id) is not asyncio.current_task():
            # Invalidated meanwhile: what was read may be older than the change.
            return await self.find(key_id)
        if key is None:
            self._known.pop(key_id, None)
            self._unknown[key_id] = True
            return None
        known = self._known.get(key_id)
        if known is None or (known.key.rate, known.key.burst) != (key.rate, key.burst):
            known = KnownKey(key, 0, AsyncLimiter(key.burst, key.burst / key.rate))
            self._known[key_id] = known
        known.key, known.stale_at = key, asked_at + self._fresh_seconds
        return known

    def _looked(self, key_id: str, looking: asyncio.Task[KnownKey | None]) -> None:
        if self._looking.get(key_id) is looking:
            del self._looking[key_id]

    async def _run_once(self) -> None:
        await self._note_use()

    async def _note_use(self) -> None:
        used, self._used = self._used, set()
        times = {
            key_id: known.used_at
            for key_id in used
            if (known := self._known.get(key_id)) is not None and known.used_at is not None
        }
        if not times:
            return
        try:
            await self._records.write(note_use, times)
        except SQLAlchemyError as error:
            # The next write has it, if the key is used again; nothing depends on it.
            log.warning("the last use of keys was not written", error=error)


async def _current_known_keys(request: Request) -> KnownKeys:
    known_keys: KnownKeys = request.app.state.known_keys
    return known_keys


#: The keys that this process has seen, for a route's signature.
KnownKeysDep = Annotated[KnownKeys, Depends(_current_known_keys)]
