"""One dead letter: why it is dead, what it holds, what became of its redrives, what may be done with it."""

from typing import Annotated, Final

from fastapi import Path, Query, Response

from waybill_gateway.auth import CallerDep
from waybill_gateway.desk import (
    AuditQuery,
    CloseLetters,
    LetterId,
    RestoreLetters,
    audit_routes,
    letter_routes,
)
from waybill_gateway.reveals import RevealLetter
from waybill_gateway.reveals import routes as reveals
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.ui.frame import PageDep, SubmittedDep, body_of, pages_router

router = pages_router()

#: Entries of the audit trail that the page shows.
AUDITED: Final = 5

_LetterId = Annotated[LetterId, Path()]
_Notice = Annotated[str | None, Query(pattern="^(discarded|archived|restored|unchanged)$")]


@router.get("/ui/letters/{letter_id}", name="get_dead_letter")
async def show_letter(
    letter_id: _LetterId, page: PageDep, resources: ResourcesDep, caller: CallerDep, notice: _Notice = None
) -> Response:
    """Shows a letter."""
    letter = await letter_routes.get_dead_letter(letter_id, resources, caller)
    trail = await audit_routes.get_audit(resources, caller, AuditQuery(group=letter.group, limit=AUDITED))
    return page.render("desk/letter.html", letter=letter, audit=trail.items, notice=notice)


@router.post("/ui/letters/{letter_id}/discard", name="discard_dead_letters")
async def discard_letter(letter_id: _LetterId, sent: SubmittedDep) -> Response:
    """Discards a letter that is dead."""
    close = body_of(CloseLetters, sent.form | {"ids": [letter_id]})
    done = await letter_routes.discard_dead_letters(close, sent.resources, sent.caller, sent.actor)
    return sent.page.redirect(f"/ui/letters/{letter_id}", notice="discarded" if done.changed else "unchanged")


@router.post("/ui/letters/{letter_id}/archive", name="archive_dead_letters")
async def archive_letter(letter_id: _LetterId, sent: SubmittedDep) -> Response:
    """Archives a letter that is dead."""
    close = body_of(CloseLetters, sent.form | {"ids": [letter_id]})
    done = await letter_routes.archive_dead_letters(close, sent.resources, sent.caller, sent.actor)
    return sent.page.redirect(f"/ui/letters/{letter_id}", notice="archived" if done.changed else "unchanged")


@router.post("/ui/letters/{letter_id}/restore", name="restore_dead_letters")
async def restore_letter(letter_id: _LetterId, sent: SubmittedDep) -> Response:
    """Restores a letter that was discarded or archived."""
    restore = body_of(RestoreLetters, sent.form | {"ids": [letter_id]})
    done = await letter_routes.restore_dead_letters(restore, sent.resources, sent.caller, sent.actor)
    return sent.page.redirect(f"/ui/letters/{letter_id}", notice="restored" if done.changed else "unchanged")


@router.post("/ui/letters/{letter_id}/reveal", name="reveal_dead_letter")
async def reveal_letter(letter_id: _LetterId, sent: SubmittedDep) -> Response:
    """Shows the sealed data of a letter once; who saw it and why is recorded."""
    reason = body_of(RevealLetter, sent.form)
    seen = await reveals.reveal_dead_letter(
        letter_id, reason, Response(), sent.resources, sent.caller, sent.actor
    )
    return sent.page.render(
        "revealed.html",
        what=f"letter {letter_id}",
        back=f"/ui/letters/{letter_id}",
        seen=seen,
        edited={},
        reason=reason.reason,
    )
