"""API keys: the list, a new one whose token is shown once, a new secret, an end."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Path, Query, Response

from waybill_gateway.auth import KnownKeysDep
from waybill_gateway.keys import KeyQuery, PostKey, RotateKey, routes
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.ui.frame import (
    REFUSALS,
    Page,
    PageDep,
    Refusal,
    SubmittedDep,
    body_of,
    numbers,
    pages_router,
    refusal_of,
)
from waybill_ledger import Scope

router = pages_router()

#: Scopes, each with what it allows.
SCOPES: Final[Mapping[Scope, str]] = {
    Scope.READ: "look at tasks, failures, schedules",
    Scope.SUBMIT: "submit and cancel tasks, change schedules",
    Scope.OPERATE: "redrive, discard, archive dead letters",
    Scope.REVEAL: "see sealed data, with a reason",
    Scope.DEPLOY: "register and retire services",
    Scope.METRICS: "read metrics",
    Scope.ADMIN: "everything, for every tenant",
}
_FIELDS: Final = ("name", "tenant", "expires_at")
_KeyId = Annotated[str, Path(pattern=r"^[0-9a-z]{1,16}$")]
_Notice = Annotated[str | None, Query(pattern="^revoked$")]


class KeyPageQuery(KeyQuery):
    """Filters of the list, and what was done."""

    notice: _Notice = None


@router.get("/ui/keys", name="get_keys")
async def show_keys(
    page: PageDep, resources: ResourcesDep, asked: Annotated[KeyPageQuery, Query()]
) -> Response:
    """Shows keys, those that have ended included."""
    return await _keys(page, resources, asked)


@router.post("/ui/keys", name="post_key")
async def post_key(sent: SubmittedDep) -> Response:
    """Makes a key, and shows its token this once."""
    form = sent.form
    fields: dict[str, Any] = {name: form[name] for name in _FIELDS if name in form}
    fields["scopes"] = [scope for scope in Scope if f"scope.{scope}" in form]
    try:
        posted = body_of(PostKey, fields | numbers(form, rate=float, burst=int))
        made = await routes.post_key(posted, Response(), sent.resources, sent.actor)
    except REFUSALS as error:
        return await _keys(sent.page, sent.resources, KeyPageQuery(), form, refusal_of(error))
    return sent.page.render("administration/made_key.html", key=made, words="made")


@router.post("/ui/keys/{key_id}/rotate", name="rotate_key")
async def rotate_key(key_id: _KeyId, sent: SubmittedDep, known_keys: KnownKeysDep) -> Response:
    """Gives a key a new secret, and shows its token this once."""
    posted = body_of(RotateKey, numbers(sent.form, overlap_seconds=float))
    made = await routes.rotate_key(key_id, posted, Response(), sent.resources, known_keys, sent.actor)
    return sent.page.render("administration/made_key.html", key=made, words="given a new secret")


@router.post("/ui/keys/{key_id}/revoke", name="revoke_key")
async def revoke_key(key_id: _KeyId, sent: SubmittedDep, known_keys: KnownKeysDep) -> Response:
    """Revokes a key for good."""
    await routes.revoke_key(key_id, sent.resources, known_keys, sent.actor)
    return sent.page.redirect("/ui/keys", notice="revoked")


async def _keys(
    page: Page,
    resources: Resources,
    asked: KeyPageQuery,
    sent: Mapping[str, str] | None = None,
    refusal: Refusal | None = None,
) -> Response:
    wanted = KeyQuery(**asked.model_dump(exclude={"notice"}, exclude_unset=True))
    found = await routes.get_keys(resources, wanted)
    return page.render(
        "administration/keys.html",
        200 if refusal is None else refusal.status,
        keys=found.items,
        following=found.next_cursor and page.here(cursor=found.next_cursor, notice=None),
        notice=asked.notice,
        scopes=SCOPES,
        sent=sent or {},
        refusal=refusal or Refusal(200, ""),
    )
