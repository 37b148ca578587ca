import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from waybill_contracts.privacy.seal import NO_KEYS
from waybill_database import open_engine
from waybill_ledger import (
    KeyReusedError,
    Redeemed,
    Redemption,
    Refusal,
    ResetToken,
    Submission,
    accept,
    redeem,
)
from waybill_ledger.acceptance.password_resets import Answer
from waybill_testkit.samples import NOON, keyed, new_task, reset_event

EXPIRY = NOON + timedelta(hours=1)
TASK = new_task(reset_event())
HASH = "a" * 64
OTHER = "b" * 64
GOOD = Redeemed("ann@example.test", TASK.id)


@pytest.fixture
def engine(ledger_url: str) -> Iterator[Engine]:
    engine = open_engine(ledger_url, connections=3)
    with engine.begin() as connection:
        for task, token in (
            (TASK, ResetToken(HASH, '"ann@example.test"', EXPIRY)),
            (new_task(reset_event()), ResetToken(OTHER, '"bob@example.test"', EXPIRY)),
        ):
            accept(connection, [Submission(task, None, (token.row(task),))])
    yield engine
    engine.dispose()


def redeemed(engine: Engine, *redemptions: Redemption) -> list[Answer]:
    with engine.begin() as connection:
        return list(redeem(connection, redemptions))


def test_a_token_is_good_once(engine: Engine) -> None:
    assert redeemed(engine, Redemption(HASH, NOON, NO_KEYS)) == [GOOD]
    assert redeemed(engine, Redemption(HASH, NOON, NO_KEYS)) == [Refusal.REDEEMED]


def test_a_token_twice_in_one_batch_is_good_once(engine: Engine) -> None:
    assert redeemed(engine, Redemption(HASH, NOON, NO_KEYS), Redemption(HASH, NOON, NO_KEYS)) == [
        GOOD,
        Refusal.REDEEMED,
    ]


def test_an_unknown_token(engine: Engine) -> None:
    assert redeemed(engine, Redemption("c" * 64, NOON, NO_KEYS, keyed("k"))) == [Refusal.UNKNOWN]


def test_a_token_expires(engine: Engine) -> None:
    late = EXPIRY + timedelta(microseconds=1)
    assert redeemed(engine, Redemption(HASH, late, NO_KEYS, keyed("k"))) == [Refusal.EXPIRED]
    assert redeemed(engine, Redemption(HASH, late, NO_KEYS, keyed("k"))) == [Refusal.EXPIRED]
    assert redeemed(engine, Redemption(OTHER, EXPIRY, NO_KEYS)) != [Refusal.EXPIRED]


def test_a_repeat_with_its_key_is_answered_as_the_first_time(engine: Engine) -> None:
    again = Redemption(HASH, EXPIRY + timedelta(days=1), NO_KEYS, keyed("k"))
    assert redeemed(engine, Redemption(HASH, NOON, NO_KEYS, keyed("k"))) == [GOOD]
    assert redeemed(engine, again) == [GOOD]
    assert redeemed(engine, Redemption(HASH, NOON, NO_KEYS, keyed("another"))) == [Refusal.REDEEMED]


def test_a_call_that_was_refused_is_refused_again_whatever_its_key(engine: Engine) -> None:
    redeemed(engine, Redemption(HASH, NOON, NO_KEYS))
    late = Redemption(HASH, NOON, NO_KEYS, keyed("thief"))

    assert redeemed(engine, late) == [Refusal.REDEEMED]
    assert redeemed(engine, late) == [Refusal.REDEEMED]
    assert redeemed(engine, late, late) == [Refusal.REDEEMED, Refusal.REDEEMED]


def test_a_key_of_another_token_is_refused(engine: Engine) -> None:
    redeemed(engine, Redemption(HASH, NOON, NO_KEYS, keyed("k", HASH)))
    fresh = redeemed(engine, Redemption(OTHER, NOON, NO_KEYS, keyed("k", OTHER)))
    redeemed(engine, Redemption(OTHER, NOON, NO_KEYS))
    used = redeemed(engine, Redemption(OTHER, NOON, NO_KEYS, keyed("k", OTHER)))

    assert [type(answer) for answer in fresh + used] == [KeyReusedError, KeyReusedError]


def test_two_at_once_redeem_once(engine: Engine) -> None:
    together = threading.Barrier(2)

    def attempt(key: str) -> list[Answer]:
        together.wait()
        return redeemed(engine, Redemption(HASH, NOON, NO_KEYS, keyed(key)))

    with ThreadPoolExecutor(2) as pool:
        answers = [answer for answers in pool.map(attempt, ["one", "two"]) for answer in answers]

    assert sorted(answers, key=str) == sorted([GOOD, Refusal.REDEEMED], key=str)
