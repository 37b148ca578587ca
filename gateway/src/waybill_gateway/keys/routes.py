"""API keys: operators make, rotate and revoke them."""

from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from waybill_gateway.auth import Actor, GuardedJsonRoute, KnownKeysDep
from waybill_gateway.http import Problem, page_or_problem
from waybill_gateway.keys.models import KeyPageView, KeyQuery, KeyView, MadeKey, PostKey, RotateKey
from waybill_gateway.runtime import ResourcesDep
from waybill_ledger import (
    NewKey,
    Revocation,
    Rotation,
    Secret,
    create_keys,
    get_key,
    list_keys,
    revoke_keys,
    rotate_keys,
)
from waybill_worker.observe import get_logger

log = get_logger(__name__)

router = APIRouter(tags=["keys"], route_class=GuardedJsonRoute)

_KeyId = Annotated[str, Path(pattern=r"^[0-9a-z]{1,16}$")]
#: Headers of answers with a token: no proxy and no browser may store them.
_NOT_KEPT = {"Cache-Control": "no-store"}


@router.post("/v1/keys", status_code=HTTPStatus.CREATED)
async def post_key(posted: PostKey, response: Response, resources: ResourcesDep, actor: Actor) -> MadeKey:
    """Makes a key. Only this answer has its token."""
    secret = Secret.new()
    wish = NewKey(
        secret=secret,
        tenant=posted.tenant,
        name=posted.name,
        scopes=frozenset(posted.scopes),
        at=resources.records.now(),
        actor=actor,
        expires_at=posted.expires_at,
        rate=posted.rate,
        burst=posted.burst,
        max_body_bytes=posted.max_body_bytes,
    )
    made = await resources.records.write(create_keys, wish)
    log.info("made a key", key_id=made.id, tenant=made.tenant, actor=actor)
    response.headers.update(_NOT_KEPT | {"Location": f"/v1/keys/{made.id}"})
    return MadeKey.with_token(made, secret.token)


@router.get("/v1/keys")
async def get_keys(resources: ResourcesDep, asked: Annotated[KeyQuery, Query()]) -> KeyPageView:
    """Lists keys, those that have ended included."""
    query = partial(
        list_keys, tenant=asked.tenant, limit=asked.limit, cursor=asked.place("keys"), beginning=asked.id
    )
    page = await page_or_problem(resources.records.read(query))
    return KeyPageView(
        items=list(map(KeyView.of, page.keys)), next_cursor=asked.continued("keys", page.next_cursor)
    )


@router.get("/v1/keys/{key_id}")
async def get_one_key(key_id: _KeyId, resources: ResourcesDep) -> KeyView:
    """Shows a key, without its secret."""
    found = await resources.records.read(partial(get_key, key_id=key_id))
    if found is None:
        raise _no_such_key()
    return KeyView.of(found)


@router.post(
    "/v1/keys/{key_id}/rotate",
)
async def rotate_key(
    key_id: _KeyId,
    posted: RotateKey,
    response: Response,
    resources: ResourcesDep,
    known_keys: KnownKeysDep,
    actor: Actor,
) -> MadeKey:
    """Gives a key a new secret; the current one stays valid for a while."""
    now = resources.records.now()
    secret = Secret.new(key_id)
    wish = Rotation(secret, now, now + timedelta(seconds=posted.overlap_seconds))
    rotated = await resources.records.write(rotate_keys, wish)
    if rotated is None:
        await get_one_key(key_id, resources)
        raise Problem(
            HTTPStatus.CONFLICT, "key_ended", "This key was revoked, or has expired. Make another one."
        )
    known_keys.invalidate(key_id)
    log.info("rotated a key", key_id=key_id, actor=actor)
    response.headers.update(_NOT_KEPT)
    return MadeKey.with_token(rotated, secret.token)


@router.delete("/v1/keys/{key_id}")
async def revoke_key(
    key_id: _KeyId, resources: ResourcesDep, known_keys: KnownKeysDep, actor: Actor
) -> KeyView:
    """Revokes a key permanently: here at once, in other gateways within ten seconds. It stays listed."""
    revoked = await resources.records.write(revoke_keys, Revocation(key_id, resources.records.now()))
    if revoked is None:
        raise _no_such_key()
    known_keys.invalidate(key_id)
    log.info("revoked a key", key_id=key_id, actor=actor)
    return KeyView.of(revoked)


def _no_such_key() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "no_such_key", "There is no key of this id.")
