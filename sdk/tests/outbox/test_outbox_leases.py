"""Leases of rows: each row has one relay at a time, in order where that is asked for."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from application import states, submitted
from shop import OUTBOX, record
from sqlalchemy import Engine, select, update

from waybill import outbox
from waybill.outbox.relay.leases import Leases

Leasing = Callable[..., Leases]
#: A lease that has ended when it begins.
SHORT = timedelta(0)


@pytest.fixture
def relays(leasing: Leasing) -> list[Leases]:
    """Two relays, whose leases last."""
    return [leasing(), leasing()]


def test_rows_are_leased_in_order_and_once(application: Engine, relays: list[Leases]) -> None:
    ids = submitted(application, *[None] * 5)
    one, other = relays
    assert [row.id for row in one.take(3).rows] == ids[:3]
    assert [row.id for row in other.take(3).rows] == ids[3:]
    assert one.take(3).rows == ()


def test_relays_at_the_same_time_share_all_rows_and_none_twice(
    application: Engine, relays: list[Leases]
) -> None:
    ids = submitted(application, *[None] * 200)

    def drain(relay: Leases) -> list[str]:
        taken: list[str] = []
        while rows := relay.take(7).rows:
            taken += [row.id for row in rows]
        return taken

    with ThreadPoolExecutor(2) as threads:
        taken = [id_ for ids_ in threads.map(drain, relays) for id_ in ids_]
    assert sorted(taken) == sorted(ids)


def test_a_lease_that_has_ended_is_taken_over_and_its_first_relay_changes_nothing_more(
    application: Engine, leasing: Leasing, relays: list[Leases]
) -> None:
    [id_] = submitted(application, None)
    dead = leasing(lease=SHORT)
    lost = dead.take(1)
    held = relays[0].take(1)
    assert [row.id for row in held.rows] == [id_]
    dead.refuse(lost, [(lost.rows[0], "too late")])
    dead.give_back(lost, lost.rows, error=None, may_be_accepted=False)
    assert relays[1].take(1).rows == (), "the second relay still has it"
    assert states(application) == {id_: "waiting"}
    # Whichever relay sees it accepted: it is.
    dead.delete(lost.rows)
    assert states(application) == {}


def test_rows_behind_a_refused_or_failed_one_of_their_order_key_wait_and_others_do_not(
    application: Engine, relays: list[Leases]
) -> None:
    a1, a2, b1, b2, free = submitted(application, "a", "a", "b", "b", None)
    relay, other = relays
    lease = relay.take(10)
    first = {row.id: row for row in lease.rows}
    relay.refuse(lease, [(first[a1], "no")])
    relay.give_back(lease, [first[b1]], error="failed", may_be_accepted=False, after=60)
    relay.give_back(lease, [first[a2], first[b2], first[free]], error=None, may_be_accepted=False)
    assert [row.id for row in other.take(10).rows] == [free]


def test_a_row_is_not_taken_before_one_of_its_order_key_that_another_relay_is_just_taking(
    application: Engine, relays: list[Leases], database_system: str
) -> None:
    if database_system == "sqlite":
        pytest.skip("in SQLite nobody takes rows at the same time")
    ids = submitted(application, "a", "a", "a", None)
    with application.begin() as connection:
        locked = select(OUTBOX.c.id).where(OUTBOX.c.id == ids[1]).with_for_update()
        assert connection.scalar(locked) == ids[1]
        assert [row.id for row in relays[0].take(10).rows] == [ids[0], ids[3]]


def test_a_post_without_an_answer_is_not_repeated_once_the_gateway_would_not_recognise_it(
    application: Engine, leasing: Leasing
) -> None:
    tried, untried, answered = submitted(application, None, None, None)
    relay = leasing(lease=SHORT)
    lease = relay.take(3)
    rows = {row.id: row for row in lease.rows}
    relay.give_back(lease, [rows[tried]], error="lost", may_be_accepted=True)
    relay.give_back(lease, [rows[untried]], error=None, may_be_accepted=False)
    relay.give_back(lease, [rows[answered]], error="refused connection", may_be_accepted=False)
    # A second post that is surely not accepted does not make the first one certain.
    again = relay.take(1)
    assert [row.id for row in again.rows] == [tried]
    relay.give_back(again, again.rows, error=None, may_be_accepted=False)

    later = leasing(repeats_known=timedelta(microseconds=1))
    lease = later.take(3)
    assert [row.id for row in lease.given_up] == [tried]
    assert [row.id for row in lease.rows] == [untried, answered], "however old they are"
    with application.connect() as connection:
        row = connection.execute(select(OUTBOX).where(OUTBOX.c.id == tried)).one()
    assert row.state == "refused"
    assert row.error.startswith("answer_lost")


def test_a_lease_has_no_more_data_than_fits_into_one_post(application: Engine, leasing: Leasing) -> None:
    with application.begin() as connection:
        for _ in range(3):
            outbox.submit(connection, record(1, text="ü" * 300))
    relay = leasing(data_bytes=1400)
    assert [len(relay.take(10).rows) for _ in range(3)] == [2, 1, 0]
    with application.begin() as connection:
        connection.execute(update(OUTBOX).values(available_at=0))
    assert len(leasing(data_bytes=10).take(10).rows) == 1, "one in any case"
