"""Password resets: a mailed link that is valid once."""

import hashlib
import json
import secrets
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

from fastapi import APIRouter

from waybill_contracts.kinds import PasswordResetRequested
from waybill_contracts.privacy import SealBrokenError, UnknownKeyError
from waybill_gateway.auth import GuardedJsonRoute
from waybill_gateway.http import Problem, key_missing
from waybill_gateway.password_resets.models import (
    PostPasswordReset,
    RedeemedPasswordReset,
    RedeemPasswordReset,
)
from waybill_gateway.runtime import kind_in_use
from waybill_gateway.tasks import (
    AcceptedTask,
    KeyedPostDep,
    PostDep,
    accept_task,
    key_reused,
    new_task,
)
from waybill_ledger import KeyReusedError, Redemption, Refusal, ResetToken, redeem
from waybill_worker.observe import get_logger

log = get_logger(__name__)

router = APIRouter(tags=["password resets"], route_class=GuardedJsonRoute)

#: 256 bits: a token cannot be guessed, so storing its plain SHA-256 is safe.
TOKEN_BYTES = 32
_REFUSALS = {
    Refusal.UNKNOWN: (HTTPStatus.NOT_FOUND, "This token was never mailed. Ask for a new link."),
    Refusal.EXPIRED: (HTTPStatus.GONE, "This link is too old. Ask for a new one."),
    Refusal.REDEEMED: (HTTPStatus.GONE, "This link has already been used. Ask for a new one."),
}


@router.post("/v1/password-resets", status_code=HTTPStatus.ACCEPTED)
async def post_password_reset(posted: PostPasswordReset, post: PostDep) -> AcceptedTask:
    """Mails a link. The answer does not depend on the address: it does not show who has an account."""
    resources = post.resources
    call = post.keyed_call(posted.model_dump_json)
    with resources.calls.only(call):
        now = resources.records.now()
        expires_at = (posted.due_at(now) or now) + timedelta(seconds=resources.settings.reset_ttl_seconds)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        event = PasswordResetRequested(
            email=posted.email,
            link=resources.settings.reset_link.replace("{token}", token),
            expires_at=expires_at,
        )
        # After its expiry the link would be useless.
        kind = await kind_in_use(resources.kinds, event.KIND)
        task = replace(new_task(post, kind, event.event_data(), posted), deadline=expires_at)
        token_hash = _hash(token)
        sealed = json.dumps(resources.keyring.seal(posted.email, token_hash))
        reset_token = ResetToken(token_hash, sealed, expires_at)
        return await accept_task(post, task, posted, call, (reset_token.row(task),))


@router.post(
    "/v1/password-resets/redeem",
)
async def redeem_password_reset(posted: RedeemPasswordReset, post: KeyedPostDep) -> RedeemedPasswordReset:
    """Redeems a token: 200 once, 410 from then on."""
    resources = post.resources
    call = post.keyed_call(lambda: posted.token)
    with resources.calls.only(call):
        redemption = Redemption(
            _hash(posted.token), resources.records.now(), resources.keyring, call, post.caller.sees
        )
        answer = await resources.records.write(redeem, redemption)
    if isinstance(answer, KeyReusedError):
        raise key_reused(answer)
    if isinstance(answer, Refusal):
        status, detail = _REFUSALS[answer]
        raise Problem(status, f"token_{answer}", detail)
    if isinstance(answer, UnknownKeyError):
        detail = "The link is still unused: try it again later, or ask for a new one."
        raise key_missing(answer, "a password reset", detail)
    if isinstance(answer, SealBrokenError):
        log.error("the address of a password reset was altered", token_hash=redemption.token_hash)
        detail = "The address of this link was altered, and cannot be read any more. Ask for a new one."
        raise Problem(HTTPStatus.GONE, "token_broken", detail)
    return RedeemedPasswordReset(email=answer.email, task_id=answer.task_id)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
