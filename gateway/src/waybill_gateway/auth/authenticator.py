"""The check of a request's key: who calls, whether the key allows it, and whether it calls too often."""

import ipaddress
import math
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Final

from aiolimiter import AsyncLimiter
from cachetools import LRUCache
from fastapi import Request

from waybill_gateway.auth.caller import ANYBODY, Caller
from waybill_gateway.auth.key_cache import KnownKey, KnownKeys
from waybill_gateway.http import Problem
from waybill_ledger import Key, Scope, Secret
from waybill_worker.observe import get_logger

log = get_logger(__name__)

#: Wrong keys that one address may send at once, and in a minute. 256 bits cannot be guessed; this protects
#: the ledger and the log from those who try.
GUESSES_AT_ONCE, GUESSES_A_MINUTE = 20, 60
#: Addresses with wrong keys that are kept in memory.
_MOST_ADDRESSES: Final = 10_000
#: Bits of an IPv6 address that identify one customer's network.
_IPV6_NETWORK: Final = 64
_SCHEME: Final = "bearer"


class Authenticator:
    """Authorizes requests.

    Args:
        known_keys: finds keys; None if no key is needed.
        now: gives the time by which keys expire.
    """

    def __init__(self, known_keys: KnownKeys | None, now: Callable[[], datetime]) -> None:
        self._known_keys = known_keys
        self._now = now
        self._guesses: LRUCache[str, AsyncLimiter] = LRUCache(_MOST_ADDRESSES)

    async def authorize(self, request: Request, needed: Sequence[Scope]) -> Caller:
        """The caller of a request.

        Args:
            request: has the key.
            needed: the scopes of which the key must have one.

        Raises:
            Problem: 401 without a valid key, 403 if it does not allow `needed`, 429 if it calls too often.
            SQLAlchemyError: the key had to be looked up, and the ledger did not answer.
        """
        if self._known_keys is None:
            return ANYBODY
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        caller = await self.identify(request, token.strip() if scheme.lower() == _SCHEME else None)
        require_scope(caller, needed)
        return caller

    async def identify(self, request: Request, token: str | None) -> Caller:
        """The caller with this token, whatever it may do.

        Args:
            request: the address of the caller is counted where the token is wrong.
            token: as the caller sent it; None: it sent none.

        Raises:
            Problem: 401 without a valid key, 429 if it calls too often.
            SQLAlchemyError: the key had to be looked up, and the ledger did not answer.
        """
        if self._known_keys is None:
            return ANYBODY
        if token is None:
            raise _unauthorized("key_missing", "Send your key: Authorization: Bearer wb_…", "Bearer")
        now = self._now()
        known, secret = await self._identified(self._known_keys, request, token, now)
        key = known.key
        if not known.limiter.has_capacity():
            raise too_often(key.rate, key.burst)
        await known.limiter.acquire()  # at once: there is capacity
        self._known_keys.used(known, now)
        return Caller.of(key, secret)

    async def is_good(self, key_id: str | None) -> bool:
        """Whether there is a key of this id that is neither revoked nor expired, or none is needed.

        Raises:
            SQLAlchemyError: the key had to be looked up, and the ledger did not answer.
        """
        if self._known_keys is None:
            return True
        known = None if key_id is None else await self._known_keys.find(key_id)
        return known is not None and known.key.is_good(self._now())

    async def ended(self, callers: Collection[Caller]) -> set[Caller]:
        """Those of these callers whose keys do not let them in any more; the ledger is read once for all.

        Raises:
            SQLAlchemyError: the ledger did not answer.
        """
        if self._known_keys is None:
            return set()
        keys = await self._known_keys.read({caller.key_id for caller in callers if caller.key_id is not None})
        now = self._now()
        return {caller for caller in callers if not _is_let_in(caller, keys.get(caller.key_id or ""), now)}

    @property
    def is_open(self) -> bool:
        """Whether no key is needed."""
        return self._known_keys is None

    async def _identified(
        self, known_keys: KnownKeys, request: Request, token: str, now: datetime
    ) -> tuple[KnownKey, Secret]:
        """The valid key of this token, and its secret.

        Raises:
            Problem: 401 or 429, there is none.
            SQLAlchemyError: the ledger did not answer.
        """
        secret = Secret.of(token)
        # A known key is always checked, so that a caller with wrong keys cannot lock out others behind the
        # same proxy.
        if secret is None or not known_keys.knows(secret.key_id):
            self._require_few_guesses(request)
        known = None if secret is None else await known_keys.find(secret.key_id)
        if secret is None or known is None or not known.key.is_opened_by(secret, now):
            await self._guessed(request)
            raise _unauthorized("key_unknown", "This is not a key of this installation, or not any more.")
        if not known.key.is_good(now):
            raise key_ended()
        return known, secret

    def _require_few_guesses(self, request: Request) -> None:
        guesses = self._guesses.get(_address(request))
        if guesses is not None and not guesses.has_capacity():
            raise too_often(GUESSES_A_MINUTE / 60, GUESSES_AT_ONCE)

    async def _guessed(self, request: Request) -> None:
        address = _address(request)
        guesses = self._guesses.get(address)
        if guesses is None:
            guesses = self._guesses[address] = AsyncLimiter(
                GUESSES_AT_ONCE, 60 * GUESSES_AT_ONCE / GUESSES_A_MINUTE
            )
        if not guesses.has_capacity():
            raise too_often(GUESSES_A_MINUTE / 60, GUESSES_AT_ONCE)
        await guesses.acquire()  # at once: there is capacity
        log.warning("a request with a wrong key", address=address)


def require_scope(caller: Caller, needed: Sequence[Scope]) -> None:
    """Refuses a caller whose key has none of these scopes.

    Raises:
        Problem: 403, names them.
    """
    if not caller.allows(*needed):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "scope_missing",
            f"This key does not allow {' or '.join(needed)}. Use a key with that scope.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed[0]}"'},
        )


def key_ended() -> Problem:
    """The answer to a caller with a key that was valid once."""
    return _unauthorized("key_ended", "This key was revoked, or has expired. Ask for another one.")


def _is_let_in(caller: Caller, key: Key | None, now: datetime) -> bool:
    if key is None or not key.is_good(now):
        return False
    return caller.secret is None or key.is_opened_by(caller.secret, now)


def _unauthorized(code: str, detail: str, challenge: str = 'Bearer error="invalid_token"') -> Problem:
    """The answer to a caller without a valid key. Source: RFC 6750, 3."""
    return Problem(HTTPStatus.UNAUTHORIZED, code, detail, headers={"WWW-Authenticate": challenge})


def too_often(rate: float, burst: int) -> Problem:
    """The answer to a caller over its rate. Source: draft-ietf-httpapi-ratelimit-headers-10."""
    # The bucket is full: there is room for a request when one has leaked out.
    wait = math.ceil(1 / rate)
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_requests",
        f"More than {rate:g} requests a second, {burst} at once. Nothing was done: repeat the call later.",
        headers={
            "Retry-After": str(wait),
            "RateLimit-Policy": f'"key";q={burst};w={math.ceil(burst / rate)}',
            "RateLimit": f'"key";r=0;t={wait}',
        },
    )


def _address(request: Request) -> str:
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:  # noqa: PLR2004 - it is what it says
        return host
    return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False))
