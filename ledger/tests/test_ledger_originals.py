"""Uploaded files: who may remove one, and until when."""

from datetime import datetime, timedelta

from sqlalchemy import select

from waybill_database import Records
from waybill_ledger import (
    ABANDONED_AFTER,
    Mark,
    Removal,
    Renewal,
    Submission,
    Touch,
    accept,
    delete_removed,
    mark_unused,
    renew_marks,
    touch_originals,
)
from waybill_ledger.schema.tables import ORIGINALS
from waybill_testkit.samples import NOON, image_event, new_task

DAY = timedelta(days=1)


async def marked(records: Records, since: datetime, now: datetime, most: int = 10) -> list[Mark]:
    return await records.write(mark_unused, Removal(since, now, most))


async def unused(records: Records, since: datetime, now: datetime) -> list[str]:
    return [mark.key for mark in await marked(records, since, now)]


async def test_a_mark_is_given_to_one_and_to_another_only_when_it_was_long_not_renewed(
    records: Records,
) -> None:
    keys = [f"originals/aa/{number}" for number in range(3)]
    for key in keys:
        await records.write(touch_originals, Touch(key, NOON))
    now = NOON + DAY
    first = await marked(records, since=now, now=now, most=2)
    second = await marked(records, since=now, now=now, most=2)
    assert sorted(mark.key for mark in first + second) == keys

    later = now + ABANDONED_AFTER / 2
    assert await records.write(renew_marks, Renewal(first[0], later)) is True
    later = now + ABANDONED_AFTER + timedelta(seconds=1)
    taken = await marked(records, since=later, now=later)

    assert {mark.key for mark in taken} == {first[1].key, second[0].key}
    assert {mark.owner for mark in taken}.isdisjoint({first[1].owner, second[0].owner})
    for late in (first[1], second[0]):
        assert await records.write(renew_marks, Renewal(late, later)) is False
        assert await records.write(delete_removed, late) is False
    assert await records.write(delete_removed, first[0]) is True


async def test_a_mark_does_not_stand_once_the_file_is_used_again(records: Records) -> None:
    key = image_event().source_key
    await records.write(touch_originals, Touch(key, NOON))
    [mark] = await marked(records, NOON + DAY, NOON + DAY)

    await records.write(accept, Submission(new_task(image_event())))

    assert await records.write(renew_marks, Renewal(mark, NOON + 9 * DAY)) is False
    assert await records.write(delete_removed, mark) is False
    assert await unused(records, since=NOON + 99 * DAY, now=NOON + 99 * DAY) == []


async def test_a_mark_of_the_last_release_counts_from_when_it_is_first_seen(records: Records) -> None:
    await records.write(touch_originals, Touch("originals/aa/b", NOON))
    with records.engine.begin() as connection:
        connection.execute(ORIGINALS.update().values(removing=True))
    now = NOON + DAY
    assert await unused(records, since=now, now=now) == []
    assert await unused(records, since=now, now=now + ABANDONED_AFTER) == []
    assert await unused(records, since=now, now=now + 2 * ABANDONED_AFTER) == ["originals/aa/b"]


async def test_what_one_collector_marked_the_last_release_leaves_alone(records: Records) -> None:
    await records.write(touch_originals, Touch("originals/aa/b", NOON))
    now = NOON + DAY
    await marked(records, since=now, now=now)

    with records.engine.begin() as connection:
        # As it asks, without a look at marks.
        found = select(ORIGINALS.c.key).where(ORIGINALS.c.tasks == 0, ORIGINALS.c.touched_at < now)
        assert connection.scalars(found).all() == []
