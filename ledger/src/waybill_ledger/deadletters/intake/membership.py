"""Groups of letters: what is stored of each as its letters come in.

The letters of a group are counted by state in queries (`groups`), not stored, so the two cannot disagree.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import Connection, bindparam, case, exists, func, select, update

from waybill_database import Instant, insert_new
from waybill_ledger.deadletters import LetterState
from waybill_ledger.deadletters.intake.letter import Letter, key_of
from waybill_ledger.progress import normalised
from waybill_ledger.schema import DEAD_LETTER_GROUPS as GROUPS
from waybill_ledger.schema import DEAD_LETTERS


def quiet_groups(connection: Connection, letters: Sequence[Letter]) -> set[str]:
    """Existing groups of these letters without a dead or redriving letter: a new one is a relapse."""
    alive = exists().where(
        DEAD_LETTERS.c.fingerprint == GROUPS.c.fingerprint,
        DEAD_LETTERS.c.state.in_((LetterState.DEAD, LetterState.REDRIVING)),
    )
    wanted = {letter.fingerprint for letter in letters}
    query = select(GROUPS.c.fingerprint).where(GROUPS.c.fingerprint.in_(wanted), ~alive)
    return set(connection.scalars(query))


def count_in(
    connection: Connection, letters: Sequence[Letter], *, ids: Mapping[str, int], quiet: AbstractSet[str]
) -> None:
    """Counts new letters into their groups, and creates missing groups.

    Args:
        connection: in the transaction that inserted the letters.
        letters: the new ones.
        ids: of the letters by key.
        quiet: result of `quiet_groups` before the insert.
    """
    members: dict[str, list[Letter]] = {}
    for letter in sorted(letters, key=lambda each: (each.fingerprint, each.died_at)):
        members.setdefault(letter.fingerprint, []).append(letter)
    connection.execute(insert_new(connection, GROUPS), [_row(group) for group in members.values()])
    relapsed = quiet | _came_back(connection, letters)
    connection.execute(
        _GREW, [_growth(group, ids, is_relapse=name in relapsed) for name, group in members.items()]
    )


def _row(members: Sequence[Letter]) -> dict[str, Any]:
    first = members[0]
    return {
        "fingerprint": first.fingerprint,
        "tenant": first.tenant,
        "service": first.service,
        "kind": first.envelope.kind if first.envelope else None,
        "error_type": first.error_type,
        "message": normalised(first.error_message),
        "frame": first.frame,
        "total": 0,  # set by the following update
        "first_seen": first.died_at,
        "last_seen": first.died_at,
        "sample": 0,
    }


def _growth(members: Sequence[Letter], ids: Mapping[str, int], *, is_relapse: bool) -> dict[str, Any]:
    first, last = members[0], members[-1]
    return {
        "b_fingerprint": last.fingerprint,
        "b_more": len(members),
        "b_first": first.died_at,
        "b_last": last.died_at,
        "b_sample": ids[last.key],
        "b_regressed": last.message.received_at if is_relapse else None,
    }


def _came_back(connection: Connection, letters: Sequence[Letter]) -> set[str]:
    """Groups to which a redriven letter has returned."""
    before = {
        key_of(letter.service, letter.envelope.task_id, letter.envelope.redrive_no - 1): letter.fingerprint
        for letter in letters
        if letter.envelope is not None and letter.envelope.redrive_no > 0
    }
    if not before:
        return set()
    query = select(DEAD_LETTERS.c.letter_key, DEAD_LETTERS.c.fingerprint).where(
        DEAD_LETTERS.c.letter_key.in_(before)
    )
    return {row.fingerprint for row in connection.execute(query) if before[row.letter_key] == row.fingerprint}


_FIRST, _LAST = bindparam("b_first", type_=Instant), bindparam("b_last", type_=Instant)
_GREW = (
    update(GROUPS)
    .where(GROUPS.c.fingerprint == bindparam("b_fingerprint"))
    .values(
        total=GROUPS.c.total + bindparam("b_more"),
        first_seen=case((GROUPS.c.first_seen > _FIRST, _FIRST), else_=GROUPS.c.first_seen),
        last_seen=case((GROUPS.c.last_seen < _LAST, _LAST), else_=GROUPS.c.last_seen),
        sample=case((GROUPS.c.last_seen <= _LAST, bindparam("b_sample")), else_=GROUPS.c.sample),
        # A new letter reopens an archived group.
        archived_at=None,
        regressed_at=func.coalesce(bindparam("b_regressed", type_=Instant), GROUPS.c.regressed_at),
    )
)
