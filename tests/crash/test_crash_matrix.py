"""The short crash matrix: each step, and the process killed behind it. `make crash` runs all of it."""

from collections.abc import Iterator, Mapping

import pytest

from tests.crash.count import Count, Ending, is_as_it_should_be
from tests.crash.matrix import STACKS, run_matrix
from tests.crash.rows import ROWS, Flow, Harm, Row
from tests.crash.stack import CrashStack, NotInTimeError, running
from tests.crash.table import in_words, is_right
from waybill_testkit.broker import Broker

#: The boundary behind each step of the flow.
SHORT = tuple(
    row
    for row in ROWS
    if row.name
    in {
        "accept",
        "publish",
        "mark",
        "claim",
        "effect",
        "record",
        "report",
        "ack",
        "retry",
        "dead-letter",
        "release",
        "cancel",
        "remember",
        "withdraw",
        "progress",
        "spawn-claim",
        "spawn-before",
        "spawn",
        "spawn-report",
        "spawn-apply",
        "keep",
        "register",
        "confirm-before",
        "enrol",
        "order",
        "relay-amid",
        "relay-two",
        "relay",
    }
)
#: Where the product says that an effect may happen twice: there the matrix must see it.
(WINDOW,) = (row for row in ROWS if row.in_smtp_window)


@pytest.fixture(scope="module")
def stacks(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[CrashStack]]:
    with running(tmp_path_factory.mktemp("crash"), broker, STACKS) as stacks:
        yield stacks


@pytest.fixture(scope="module")
def counts(stacks: list[CrashStack]) -> Mapping[str, Count | NotInTimeError]:
    """All cells: side by side they take a quarter of the time."""
    rows = (*SHORT, WINDOW)
    return {row.name: counted for row, _, counted in run_matrix(stacks, rows, [Harm.KILL])}


@pytest.mark.parametrize("row", SHORT, ids=lambda row: row.name)
def test_a_kill_loses_and_doubles_nothing(row: Row, counts: Mapping[str, Count | NotInTimeError]) -> None:
    counted = counts[row.name]
    assert isinstance(counted, Count), counted
    assert is_right(row, Harm.KILL, counted), in_words(row, Harm.KILL, counted)


def test_a_kill_between_effect_and_record_has_the_effect_repeated_and_recognised(
    counts: Mapping[str, Count | NotInTimeError],
) -> None:
    (effect,) = (row for row in SHORT if row.name == "effect")
    counted = counts["effect"]
    assert isinstance(counted, Count), counted
    assert counted.recognised >= effect.standing


def test_the_matrix_sees_a_mail_that_is_sent_twice_in_the_declared_window(
    counts: Mapping[str, Count | NotInTimeError],
) -> None:
    counted = counts[WINDOW.name]
    assert isinstance(counted, Count), counted
    assert counted.doubled >= WINDOW.standing
    assert counted.lost == 0
    assert is_right(WINDOW, Harm.KILL, counted)
    assert not is_right(WINDOW, Harm.CUT, counted), "only a killed process may double"


@pytest.mark.parametrize(
    "ending",
    [
        Ending("cancelled", times=0, in_doubt=False, cancellation="stopping"),
        Ending("cancelled", times=1, in_doubt=True, cancellation="stopping"),
        Ending("completed", times=1, in_doubt=False, cancellation="stopping"),
        Ending("completed", times=1, in_doubt=False, cancellation="too_late"),
        Ending("cancelled", times=0, in_doubt=False, cancellation="prevented"),
    ],
)
def test_a_cancellation_may_come_in_time_or_too_late(ending: Ending) -> None:
    assert is_as_it_should_be(Flow.CANCEL_RUNNING, ending)


@pytest.mark.parametrize(
    "ending",
    [
        Ending("cancelled", times=1, in_doubt=False, cancellation="stopping"),
        Ending("cancelled", times=0, in_doubt=False, cancellation="too_late"),
        Ending("completed", times=1, in_doubt=False, cancellation="prevented"),
        Ending("completed", times=0, in_doubt=False, cancellation="stopping"),
        Ending("running", times=0, in_doubt=False, cancellation="stopping"),
        Ending(None, times=0, in_doubt=False),
    ],
)
def test_the_matrix_sees_a_cancellation_that_is_not_what_it_was_said_to_be(ending: Ending) -> None:
    assert not is_as_it_should_be(Flow.CANCEL_RUNNING, ending)
