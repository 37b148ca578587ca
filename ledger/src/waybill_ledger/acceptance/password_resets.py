"""Password reset tokens: kept with the task that mails them, redeemed once, before they expire."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, select, update

from waybill_contracts.privacy import Keyring, SealBrokenError, UnknownKeyError
from waybill_ledger.acceptance.idempotency import (
    IdempotentCall,
    KeyedCall,
    KeyReusedError,
    Repeated,
    look_up,
    reserve,
)
from waybill_ledger.acceptance.new_task import CompanionRow, NewTask
from waybill_ledger.schema import PASSWORD_RESETS, owned_by


@dataclass(frozen=True, slots=True)
class ResetToken:
    """What is kept of a password reset token: its hash, and the account's address."""

    token_hash: str
    #: Address of the account, sealed, as JSON.
    sealed_email: str
    expires_at: datetime

    def row(self, task: NewTask) -> CompanionRow:
        """The token's row, for the submission of the task that mails it."""
        return CompanionRow(
            PASSWORD_RESETS,
            {
                "token_hash": self.token_hash,
                "tenant": task.tenant,
                "task_id": task.id,
                "email": "",
                "sealed_email": self.sealed_email,
                "expires_at": self.expires_at,
            },
        )


class Refusal(StrEnum):
    """Reason why a token is not redeemed."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REDEEMED = "redeemed"


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The account of which the password may be set now."""

    email: str
    task_id: str


#: Result of a redemption. All but `Redeemed` have changed nothing.
Answer: TypeAlias = Redeemed | Refusal | KeyReusedError | UnknownKeyError | SealBrokenError


@dataclass(frozen=True, slots=True)
class Redemption:
    """Request to redeem a token."""

    token_hash: str
    now: datetime
    #: Opens the address.
    keyring: Keyring
    call: IdempotentCall | None = None
    #: Tenant that must own the token; None: any.
    tenant: str | None = None


def redeem(connection: Connection, redemptions: Sequence[Redemption]) -> Sequence[Answer]:
    """Redeems tokens; a batch write for `Records.write`."""
    return [_redeem(connection, redemption) for redemption in redemptions]


def _redeem(connection: Connection, redemption: Redemption) -> Answer:
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
    if row.redeemed_at is not None:
        return _redeemed_before(connection, redemption, row)
    if redemption.now > row.expires_at:
        return Refusal.EXPIRED
    # Before anything is written: a token with an address that cannot be opened is not used up.
    redeemed = _opened(row, redemption.keyring)
    if not isinstance(redeemed, Redeemed):
        return redeemed
    if redemption.call is not None:
        # Only a call that redeems reserves its key: the repeat of a refused call is refused again.
        (verdict,) = reserve(connection, [KeyedCall(redemption.call, redemption.token_hash, redemption.now)])
        if isinstance(verdict, KeyReusedError):
            return verdict
    connection.execute(
        update(PASSWORD_RESETS)
        .where(PASSWORD_RESETS.c.token_hash == redemption.token_hash)
        .values(redeemed_at=redemption.now)
    )
    return redeemed


def _redeemed_before(connection: Connection, redemption: Redemption, row: Row[Any]) -> Answer:
    verdict = None if redemption.call is None else look_up(connection, redemption.call)
    if isinstance(verdict, Repeated):
        return _opened(row, redemption.keyring)
    return Refusal.REDEEMED if verdict is None else verdict


def _opened(row: Row[Any], keyring: Keyring) -> Redeemed | UnknownKeyError | SealBrokenError:
    if row.sealed_email is None:
        return Redeemed(row.email, row.task_id)
    try:
        return Redeemed(keyring.open(json.loads(row.sealed_email), row.token_hash), row.task_id)
    except (UnknownKeyError, SealBrokenError) as error:
        return error
