"""Redeeming password reset tokens: each once, before it expires."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, select, update

from ledger.idempotency import IdempotentCall, KeyedCall, KeyReusedError, Repeated, look_up, reserve
from ledger.schema import PASSWORD_RESETS
from ledger.tenants import owned_by


class Refusal(StrEnum):
    """Why a token is not redeemed."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REDEEMED = "redeemed"


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Whose password may be set now."""

    email: str
    #: The same as JSON, sealed; None: `email` tells it.
    sealed_email: str | None
    task_id: str


@dataclass(frozen=True, slots=True)
class Redemption:
    """A wish to redeem."""

    token_hash: str
    now: datetime
    call: IdempotentCall | None = None
    #: Whose the token must be; None: anybody's.
    tenant: str | None = None


def redeem(
    connection: Connection, redemptions: Sequence[Redemption]
) -> Sequence[Redeemed | Refusal | KeyReusedError]:
    """Redeems tokens; a batch write for `Records.write`."""
    return [_redeem(connection, redemption) for redemption in redemptions]


def _redeem(connection: Connection, redemption: Redemption) -> Redeemed | Refusal | KeyReusedError:
    row = connection.execute(
        select(PASSWORD_RESETS)
        .where(
            PASSWORD_RESETS.c.token_hash == redemption.token_hash,
            *owned_by(redemption.tenant, PASSWORD_RESETS.c.tenant),
        )
        .with_for_update()
    ).one_or_none()
    if row is None:
        return Refusal.UNKNOWN
    redeemed = Redeemed(row.email, row.sealed_email, row.task_id)
    if row.redeemed_at is not None:
        return _redeemed_before(connection, redemption.call, redeemed)
    if redemption.now > row.expires_at:
        return Refusal.EXPIRED
    if redemption.call is not None:
        # Only a call that redeems takes its key: a repeat of one that was refused is refused again.
        (verdict,) = reserve(connection, [KeyedCall(redemption.call, redemption.token_hash, redemption.now)])
        if isinstance(verdict, KeyReusedError):
            return verdict
    connection.execute(
        update(PASSWORD_RESETS)
        .where(PASSWORD_RESETS.c.token_hash == redemption.token_hash)
        .values(redeemed_at=redemption.now)
    )
    return redeemed


def _redeemed_before(
    connection: Connection, call: IdempotentCall | None, redeemed: Redeemed
) -> Redeemed | Refusal | KeyReusedError:
    verdict = None if call is None else look_up(connection, call)
    if isinstance(verdict, Repeated):
        return redeemed
    return Refusal.REDEEMED if verdict is None else verdict
