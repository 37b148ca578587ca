"""The delay ladder, as arithmetic: how a message waits any whole second up to 36 hours in plain RabbitMQ.

Exchange `delay.L` routes a message either into the queue of the same name, whose time-to-live of 2**L seconds
dead-letters it to level L-1, or directly to level L-1: the routing key has the delay's binary digits, highest
first, and after them the queue to return to. After level 0 comes `delay.out`, which routes it there. All
services and all delays share the queues, and in each queue all messages wait equally long, so no message
waits behind one with a longer wait. (The idea is NServiceBus's delayed delivery.)
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

from waybill_contracts.wire import EXCHANGE_DELAY_OUT, delay_exchange

#: Levels 0 to 16: the digits of delays up to 2**17 - 1 seconds.
LEVELS: Final = 17
MAX_DELAY_SECONDS: Final = 2**LEVELS - 1
#: A wait is rounded up to this many leading digits, so that it takes at most as many hops.
SIGNIFICANT_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class LadderEntry:
    """Where to publish a message that waits, and for how long it waits."""

    exchange: str
    routing_key: str
    seconds: int


def round_up(seconds: float) -> int:
    """The shortest wait of at most three hops that is not shorter than `seconds`.

    At least 1 s, at most `MAX_DELAY_SECONDS`; in between, apart from the rounding to whole seconds, at most a
    quarter longer than asked.
    """
    whole = max(1, ceil(min(seconds, MAX_DELAY_SECONDS)))
    step = 1 << max(0, whole.bit_length() - SIGNIFICANT_DIGITS)
    return min(-(-whole // step) * step, MAX_DELAY_SECONDS)


def ladder_entry(seconds: float, queue: str) -> LadderEntry:
    """Where to publish so that the message arrives in `queue` after `seconds`, rounded up."""
    rounded = round_up(seconds)
    digits = ".".join(format(rounded, f"0{LEVELS}b"))
    return LadderEntry(delay_exchange(rounded.bit_length() - 1), f"{digits}.{queue}", rounded)


def level_bindings(level: int) -> tuple[str, str, str]:
    """The binding keys of a level: what waits here, what passes; and the next exchange."""
    skipped = "*." * (LEVELS - 1 - level)
    following = delay_exchange(level - 1) if level else EXCHANGE_DELAY_OUT
    return f"{skipped}1.#", f"{skipped}0.#", following
