"""Reading results that a peer keeps in Redis, one key for each task."""

from collections.abc import Callable, Iterable

import redis

#: Keys in one question.
_AT_ONCE = 1000


class RedisResults:
    """The results of one system, which has the database to itself."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)

    def clear(self) -> None:
        """Deletes the results, and the queues, of the previous system."""
        self._client.flushall()

    def count(self) -> int:
        """How many there are."""
        return int(self._client.dbsize())

    def members(self, sorted_set: str) -> int:
        """How many members a sorted set has."""
        return int(self._client.zcard(sorted_set))

    def without_success(
        self, ids: Iterable[str], succeeded: Callable[[bytes], bool], *, prefix: str = ""
    ) -> set[str]:
        """The tasks whose result is missing or no success."""
        wanted = sorted(ids)
        missing: set[str] = set()
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            values = self._client.mget([prefix + id_ for id_ in some])
            missing |= {
                id_ for id_, value in zip(some, values, strict=True) if value is None or not succeeded(value)
            }
        return missing

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()


def waits_in_redis(url: str, command: str) -> Callable[[], bool]:
    """Ready when somebody waits for work by this command."""

    def check() -> bool:
        with redis.Redis.from_url(url) as client:
            return any(each["cmd"] == command for each in client.client_list())

    return check
