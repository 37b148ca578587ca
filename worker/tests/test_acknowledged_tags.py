"""Which tags are acknowledged when, held against what a broker would make of it."""

from hypothesis import given
from hypothesis import strategies as st

from waybill_worker.consume.acknowledgements import Tags

TAGS = 12
#: Tags in the order in which they are settled, and after which of them acknowledgements are sent.
SETTLING = st.permutations(range(1, TAGS + 1))
TELLING = st.sets(st.integers(1, TAGS))


class Broker:
    """What is unacknowledged on one channel (AMQP 0-9-1, basic.ack); a wrong tag closes the channel."""

    def __init__(self) -> None:
        self.unacked: set[int] = set()
        self.frames = 0

    def ack(self, up_to: int | None, single: list[int]) -> None:
        if up_to is not None:
            assert up_to in self.unacked, "unknown delivery tag"
            self.unacked = {tag for tag in self.unacked if tag > up_to}
            self.frames += 1
        for tag in single:
            assert tag in self.unacked, "unknown delivery tag"
            self.unacked.remove(tag)
            self.frames += 1


@given(SETTLING, TELLING, st.sets(st.integers(1, TAGS)))
def test_the_broker_knows_of_all_that_is_settled_and_of_nothing_else(
    settling: list[int], telling: set[int], rejected: set[int]
) -> None:
    tags, broker = Tags(), Broker()
    settled: set[int] = set()
    for tag in range(1, TAGS + 1):
        tags.delivered(tag)
        broker.unacked.add(tag)
    for number, tag in enumerate(settling, start=1):
        settled.add(tag)
        if tag in rejected:
            tags.settled_otherwise(tag)
            broker.unacked.remove(tag)
        else:
            tags.acknowledge(tag)
        if number in telling or number == TAGS:
            up_to, single = tags.take()
            broker.ack(up_to, list(single))
            assert broker.unacked == set(range(1, TAGS + 1)) - settled


def test_what_is_settled_in_order_takes_one_frame() -> None:
    tags = Tags()
    for tag in range(1, 101):
        tags.delivered(tag)
        tags.acknowledge(tag)

    assert tags.take() == (100, [])
    assert tags.take() == (None, [])


def test_a_slow_message_holds_up_nobody() -> None:
    tags = Tags()
    for tag in (1, 2, 3):
        tags.delivered(tag)
    tags.acknowledge(3)
    assert tags.take() == (None, [3])
    tags.acknowledge(1)
    assert tags.take() == (1, [])
    tags.acknowledge(2)
    assert tags.take() == (2, [])
    tags.delivered(4)
    tags.acknowledge(4)
    assert tags.take() == (4, [])
