"""What a relay does with answers that a gateway does not give at will."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event

import httpx
import pytest
from application import states, submitted
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from waybill.client import Client
from waybill.outbox.relay.health import RelayHealth
from waybill.outbox.relay.leases import Leases, Row
from waybill.outbox.relay.poster import Accepted, NotAnswered, Outcome, Poster, Refused
from waybill.outbox.relay.relay import Relay

DEFECT = NotAnswered("500 internal_error: a defect", may_be_accepted=True, is_of_rows=True)
AWAY = NotAnswered("503 overloaded", may_be_accepted=False, retry_after=9.0)
GO_ON = Event()


class Scripted(Poster):
    """Answers as a gateway might."""

    def __init__(self, answer: Callable[[Sequence[str]], Outcome]) -> None:
        self.answer = answer
        self.posts: list[list[str]] = []

    def post(self, rows: Sequence[Row]) -> Outcome:
        self.posts.append([row.id for row in rows])
        return self.answer([row.id for row in rows])


@pytest.fixture
def relay(leasing: Callable[..., Leases]) -> Callable[[Poster], Relay]:
    leases = leasing()
    return lambda poster: Relay(leases, poster, NoWaker(), RelayHealth())


class NoWaker:
    def mark(self) -> None: ...
    def wait(self, stop: Event) -> None: ...
    def close(self) -> None: ...


def test_a_row_that_the_gateway_fails_on_holds_no_other_and_is_tried_later(
    application: Engine, relay: Callable[[Poster], Relay]
) -> None:
    ids = submitted(application, *[None] * 100)
    poison = {ids[17], ids[70]}
    poster = Scripted(lambda posted: DEFECT if poison & set(posted) else Accepted())
    assert relay(poster).relay_due(GO_ON) == 0.0
    assert states(application) == dict.fromkeys(poison, "waiting")
    assert relay(poster).relay_due(GO_ON) is None, "each waits for itself"
    assert len(poster.posts) < 40


def test_a_gateway_that_fails_on_everything_gets_few_posts(
    application: Engine, relay: Callable[[Poster], Relay]
) -> None:
    submitted(application, *[None] * 1000)
    poster = Scripted(lambda _posted: DEFECT)
    pause = relay(poster).relay_due(GO_ON)
    assert pause
    assert len(poster.posts) <= 65
    assert set(states(application).values()) == {"waiting"}


def test_bodies_that_are_too_large_are_split(application: Engine, relay: Callable[[Poster], Relay]) -> None:
    ids = submitted(application, *[None] * 10)
    too_large = Refused("413 too_large: more than a mebibyte", {})
    poster = Scripted(lambda posted: too_large if len(posted) > 3 or ids[4] in posted else Accepted())
    relay(poster).relay_due(GO_ON)
    assert states(application) == {ids[4]: "refused"}


def test_rows_behind_a_refused_one_of_their_order_key_are_not_posted_with_the_rest(
    application: Engine, relay: Callable[[Poster], Relay]
) -> None:
    a1, a2, free, a3 = submitted(application, "a", "a", None, "a")
    poster = Scripted(lambda posted: Refused("422", {posted.index(a2): "no"}) if a2 in posted else Accepted())
    relay(poster).relay_due(GO_ON)
    assert poster.posts == [[a1, a2, free, a3], [a1, free]]
    assert states(application) == {a2: "refused", a3: "waiting"}
    assert relay(poster).relay_due(GO_ON) is None


def test_while_the_gateway_is_away_all_is_given_back_and_few_rows_are_tried(
    application: Engine, relay: Callable[[Poster], Relay]
) -> None:
    ids = submitted(application, *[None] * 100)
    poster = Scripted(lambda _posted: AWAY)
    relaying = relay(poster)
    pauses = [relaying.relay_due(GO_ON) for _ in range(12)]
    assert all(pause is not None and pause >= AWAY.retry_after for pause in pauses if AWAY.retry_after)
    assert [len(posted) for posted in poster.posts[-3:]] == [1, 1, 1], "the longer, the fewer"
    assert set(states(application).values()) == {"waiting"}
    poster.answer = lambda _posted: Accepted()
    while states(application):
        assert relaying.relay_due(GO_ON) == 0.0
    assert sorted(id_ for posted in poster.posts[12:] for id_ in posted) == sorted(ids)


def test_a_relay_that_is_stopped_gives_back_what_it_has_not_posted(
    application: Engine, relay: Callable[[Poster], Relay]
) -> None:
    submitted(application, *[None] * 3)
    stop = Event()
    stop.set()
    poster = Scripted(lambda _posted: Accepted())
    relay(poster).relay_due(stop)
    assert poster.posts == []
    relay(poster).relay_due(GO_ON)
    assert states(application) == {}


def test_a_proxy_that_takes_no_large_body_splits_the_rows_too(
    application: Engine, leasing: Callable[..., Leases]
) -> None:
    submitted(application, None)
    proxy = httpx.MockTransport(lambda _request: httpx.Response(413, text="<html>too large</html>"))
    with Client("http://gateway.example", deadline=0, transport=proxy) as client:
        [row] = leasing().take(1).rows
        assert Poster(client).post([row]) == Refused(
            "413: no problem document, but '<html>too large</html>'", {}
        )


def test_a_row_that_cannot_be_read_is_refused_by_its_place(
    application: Engine, leasing: Callable[..., Leases]
) -> None:
    submitted(application, None, None)
    with Client("http://gateway.example", deadline=0) as client:
        good, bad = leasing().take(2).rows
        outcome = Poster(client).post([good, replace(bad, send_at="2030-01-01T00:00:00")])
    assert isinstance(outcome, Refused)
    assert list(outcome.faults) == [1]
    assert "the row cannot be read" in outcome.faults[1]


def test_a_key_that_its_function_cannot_get_is_waited_for(
    application: Engine, leasing: Callable[..., Leases]
) -> None:
    def no_key() -> str:
        raise RuntimeError("the vault is sealed")

    submitted(application, None)
    with Client("http://gateway.example", deadline=0, api_key=no_key) as client:
        outcome = Poster(client).post(leasing().take(1).rows)
    assert isinstance(outcome, NotAnswered)
    assert "the vault is sealed" in outcome.detail


def test_a_database_without_a_free_connection_is_tried_again(
    application: Engine, relay: Callable[[Poster], Relay], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = submitted(application, None)
    stop, poster = Event(), Scripted(lambda _posted: Accepted())
    under_test = relay(poster)
    due = under_test.relay_due
    failing = iter([PoolTimeoutError("QueuePool limit of size 2 overflow 0 reached")])

    def relay_due(_stop: Event) -> float | None:
        for error in failing:
            raise error
        stop.set()
        return due(GO_ON)

    monkeypatch.setattr(under_test, "relay_due", relay_due)
    under_test.run(stop)
    assert poster.posts == [ids]
