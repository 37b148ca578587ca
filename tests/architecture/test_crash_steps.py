"""The crash matrix stops processes at functions that it knows by name: it must follow when they move."""

import pytest

import waybill_ledger
import waybill_ledger.registry
from tests.crash.gates.places import follow
from tests.crash.gates.steps import EACH_STEPS, SHORTER, STEPS, WRITES


@pytest.mark.parametrize(
    "place",
    sorted(
        {place for wrapped in (STEPS, EACH_STEPS) for steps in wrapped.values() for place in steps}
        | set(SHORTER)
    ),
)
def test_what_the_crash_matrix_wraps_is_where_it_looks_for_it(place: str) -> None:
    follow(place)


@pytest.mark.parametrize("write", sorted(WRITES))
def test_the_writes_that_the_crash_matrix_stops_at_are_writes_of_the_ledger(write: str) -> None:
    assert callable(getattr(waybill_ledger, write, None) or getattr(waybill_ledger.registry, write))
