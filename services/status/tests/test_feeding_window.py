from itertools import pairwise

from waybill_status.outbox.window import LEAST, MOST, STALE_SECONDS, Window
from waybill_worker.broker.connection import QueueStats

LOOKS_A_SECOND = 10


def fed(window: Window, waiting: int, now: float, *, consumers: int = 1) -> int:
    """One look, and all that there is room for."""
    room = window.room(QueueStats(waiting, consumers), now)
    window.feed(room, now)
    return room


def run(window: Window, a_second: float, seconds: float, *, others: float = 0) -> list[int]:
    """What stands in the queue after each look, with a service that does so many a second."""
    waiting, done, standing = 0.0, 0, []
    for look in range(int(seconds * LOOKS_A_SECOND)):
        waiting = max(waiting + (others - a_second) / LOOKS_A_SECOND, 0)
        done = fed(window, int(waiting), look / LOOKS_A_SECOND)
        waiting += done
        standing.append(int(waiting))
    return standing


def test_it_begins_small_and_doubles_while_the_queue_runs_dry() -> None:
    window = Window()
    rooms = [fed(window, 0, look / LOOKS_A_SECOND) for look in range(20)]

    assert rooms[0] == LEAST
    assert all(later == min(earlier * 2, MOST) for earlier, later in pairwise(rooms))
    assert rooms[-1] == MOST


def test_a_fast_service_is_never_idle_and_a_slow_one_has_half_a_second_of_work() -> None:
    fast = run(Window(), 600, 10)[20:]
    slow = run(Window(), 40, 10)[20:]

    assert min(fast) >= 600 / LOOKS_A_SECOND
    assert max(fast) <= 600
    assert min(slow) >= LEAST
    assert max(slow) <= 40


def test_a_service_that_stands_still_gets_next_to_nothing() -> None:
    window = Window()
    first = fed(window, 0, 0)
    later = [fed(window, first, look / LOOKS_A_SECOND, consumers=0) for look in range(1, 1000)]

    assert sum(later) == 0


def test_nothing_starves_behind_a_queue_that_never_gets_short() -> None:
    window = Window()
    rooms = [fed(window, 5000, look / LOOKS_A_SECOND) for look in range(100)]

    assert sum(rooms) == 10
    assert max(rooms) == 1


def test_what_is_in_a_hurry_makes_room_for_itself() -> None:
    # The others keep the service busy all the time.
    standing = run(Window(), 100, 20, others=110)

    assert max(later - earlier for earlier, later in pairwise(standing[20:])) <= LEAST + 110 / LOOKS_A_SECOND


def test_what_it_knew_before_a_pause_counts_no_more() -> None:
    window = Window()
    for look in range(10):
        fed(window, 0, look)

    assert fed(window, 0, 10 + STALE_SECONDS) == LEAST
