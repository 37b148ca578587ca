"""Redeeming password reset tokens: each once, before it expires."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, select, update

from ledger.idempotency import IdempotentCall, KeyedCall, KeyReusedError, Repeated, recall, reserve
from ledger.schema import PASSWORD_RESETS


class Refusal(StrEnum):
    """Why a token is not redeemed."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REDEEMED = "redeemed"


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Whose password may be set now."""

    email: str
    task_id: str


@dataclass(frozen=True, slots=True)
class Redemption:
    """A wish to redeem."""

    token_hash: str
    now: datetime
    call: IdempotentCall | None = None


def redeem(
    connection: Connection, redemptions: Sequence[Redemption]
) -> Sequence[Redeemed | Refusal | KeyReusedError]:
    """Redeems tokens; a batch write for `Records.write`."""
    return [_redeem(connection, redemption) for redemption in redemptions]


def _redeem(connection: Connection, redemption: Redemption) -> Redeemed | Refusal | KeyReusedError:
    row = connection.execute(
        select(PASSWORD_RESETS).where(PASSWORD_RESETS.c.token_hash == redemption.token_hash).with_for_update()
    ).one_or_none()
    if row is None:
        return Refusal.UNKNOWN
    redeemed = Redeemed(row.email, row.task_id)
    # A key is only ever kept by the call that redeemed: one that was refused must not be told yes next time.
    earlier = None if redemption.call is None else recall(connection, redemption.call)
    if earlier is not None:
        return redeemed if isinstance(earlier, Repeated) else earlier
    if row.redeemed_at is not None:
        return Refusal.REDEEMED
    if redemption.now > row.expires_at:
        return Refusal.EXPIRED
    if redemption.call is not None:
        (verdict,) = reserve(connection, [KeyedCall(redemption.call, redemption.token_hash, redemption.now)])
        if isinstance(verdict, KeyReusedError):
            return verdict
    connection.execute(
        update(PASSWORD_RESETS)
        .where(PASSWORD_RESETS.c.token_hash == redemption.token_hash)
        .values(redeemed_at=redemption.now)
    )
    return redeemed
