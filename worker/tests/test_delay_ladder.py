import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill_contracts.wire.names import EXCHANGE_DELAY_OUT, delay_exchange
from waybill_worker.broker.delay_ladder import (
    LEVELS,
    MAX_DELAY_SECONDS,
    ladder_entry,
    level_bindings,
    round_up,
)


def matches(pattern: str, key: str) -> bool:
    """A topic binding, as AMQP 0-9-1 defines it: `*` is one word, `#` any number of them."""
    words, rest = pattern.split("."), key.split(".")
    while words:
        word = words.pop(0)
        if word == "#":
            return not words or any(matches(".".join(words), ".".join(rest[n:])) for n in range(len(rest)))
        if not rest or word not in ("*", rest[0]):
            return False
        rest.pop(0)
    return not rest


def walk(exchange: str, key: str) -> tuple[int, int]:
    """Goes through the ladder's bindings as the broker would: seconds waited, and queues waited in."""
    by_exchange = {delay_exchange(level): level for level in range(LEVELS)}
    waited, hops = 0, 0
    while exchange != EXCHANGE_DELAY_OUT:
        level = by_exchange[exchange]
        waits, passes, following = level_bindings(level)
        assert matches(waits, key) != matches(passes, key), "exactly one way leads on"
        if matches(waits, key):
            waited, hops = waited + 2**level, hops + 1
        exchange = following
    return waited, hops


@given(st.floats(min_value=0, max_value=MAX_DELAY_SECONDS))
def test_a_wait_is_never_shorter_and_at_most_a_quarter_longer(seconds: float) -> None:
    rounded = round_up(seconds)

    assert seconds <= rounded <= MAX_DELAY_SECONDS
    assert rounded <= max(1, math.ceil(seconds)) * 1.25
    assert rounded.bit_count() <= 3 or rounded == MAX_DELAY_SECONDS


@given(st.integers(min_value=1, max_value=MAX_DELAY_SECONDS))
def test_rounding_twice_is_rounding_once(seconds: int) -> None:
    assert round_up(round_up(seconds)) == round_up(seconds)


@given(st.integers(min_value=1, max_value=MAX_DELAY_SECONDS), st.sampled_from(["email.work", "a.b.work"]))
def test_the_broker_keeps_a_message_for_exactly_the_time_that_was_said(seconds: int, queue: str) -> None:
    entry = ladder_entry(seconds, queue)
    waited, hops = walk(entry.exchange, entry.routing_key)

    assert waited == entry.seconds
    assert hops <= 3 or entry.seconds == MAX_DELAY_SECONDS
    assert matches(f"#.{queue}", entry.routing_key)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (-5, 1),
        (0, 1),
        (0.2, 1),
        (1, 1),
        (1.01, 2),
        (7, 7),
        (9, 10),
        (900, 1024),
        (10**9, MAX_DELAY_SECONDS),
        (math.inf, MAX_DELAY_SECONDS),
    ],
)
def test_some_waits(asked: float, given: int) -> None:
    assert round_up(asked) == given


def test_the_longest_wait_is_a_day_and_a_half() -> None:
    assert MAX_DELAY_SECONDS == 131_071
