"""Links by which one task can be watched without a key: signed, and valid for a time."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from waybill_contracts.privacy import Keyring

#: So that scanners recognise a leaked token.
_PREFIX: Final = "wbw"
_TOKEN: Final = re.compile(
    rf"^{_PREFIX}_(?P<task>[0-9a-f]{{32}})_(?P<expires>[0-9a-f]{{8}})_(?P<key>[0-9a-z]{{1,32}})_(?P<signature>[0-9a-f]{{40}})$",
    re.ASCII,
)
#: Seconds that two clocks may differ.
_MOST_SLACK: Final = 60
#: In place of the key of a gateway that needs none.
_NO_KEY: Final = "open"
#: All that links lead to is below it.
WATCH_PATH: Final = "/v1/watch"


@dataclass(frozen=True, slots=True)
class WatchLink:
    """What the token of a link stands for."""

    task_id: str
    #: Seconds since 1970.
    expires: int
    #: Id of the key of the caller that got it; None: the gateway needed no key.
    key_id: str | None


class WatchLinks:
    """Makes links, and reads their tokens.

    Args:
        keyring: signs.
        seconds: for which a link is valid; 0: none is made.
    """

    def __init__(self, keyring: Keyring, seconds: int) -> None:
        self._keyring = keyring
        self._seconds = seconds if keyring.can_sign else 0

    def path(self, task_id: str, key_id: str | None, now: datetime) -> str | None:
        """The path of a link to a task; None: no links are made.

        A repeated call is answered as the first time, so links of one task that are made soon after each
        other are equal: the end moves in steps of half of the time for which a link is valid, counted from
        the time in the task's id.

        Args:
            task_id: of the task.
            key_id: id of the key of the caller who gets it; it is valid no longer than that key. None: the
                gateway needs no key.
            now: the time.
        """
        if not self._seconds:
            return None
        # A UUIDv7 begins with its time, in milliseconds since 1970: 12 hexadecimal digits, with a hyphen.
        accepted = int(task_id[:8] + task_id[9:13], 16)
        step = max(self._seconds // 2, 1)
        # The clock may be a little behind the one that made the id, which must not lead to the step before.
        slack = min(step // 2, _MOST_SLACK)
        steps = (int(now.timestamp() * 1000) - accepted + slack * 1000) // (step * 1000)
        expires = accepted // 1000 - slack + self._seconds + steps * step
        named = f"{_PREFIX}_{task_id.replace('-', '')}_{expires:08x}_{key_id or _NO_KEY}"
        return f"{WATCH_PATH}/{named}_{self._keyring.sign(named)}"

    def read(self, token: str) -> WatchLink | None:
        """What a token stands for, valid or expired; None: it is none of ours."""
        match = _TOKEN.match(token)
        if match is None or not self._keyring.has_signed(token.rpartition("_")[0], match["signature"]):
            return None
        key_id = None if match["key"] == _NO_KEY else match["key"]
        return WatchLink(str(UUID(match["task"])), int(match["expires"], 16), key_id)
