"""Results that the single measurements refuse to report, and the ledgers that they begin with."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bench.kit.filling import BACKLOG, MODEL, SCHEDULED_ONLY, Mix, fill_ledger
from bench.kit.load import Load, Posted
from bench.kit.place import Place
from bench.large.backlog import measure_backlog
from bench.large.comeback import Trickle
from bench.large.due import lateness
from bench.large.pruning import Turn, ratio
from waybill_database import open_engine
from waybill_ledger.schema.tables import OUTBOX, TASKS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def turn(*p99: float) -> Turn:
    return Turn("a turn", nullcontext, waits=[[0.001] * 98 + [each, each] for each in p99])


def test_the_cost_of_pruning_is_the_median_ratio_of_the_rounds() -> None:
    # The machine was ten times slower in the second round, whatever was pruned.
    assert ratio(turn(0.02, 0.2, 0.03), turn(0.01, 0.1, 0.02)) == pytest.approx(2)


def test_what_is_due_and_comes_early_is_no_lateness() -> None:
    due = NOON.timestamp()

    assert lateness([due + 0.25, due], NOON, what="tasks") == pytest.approx([0.25, 0])
    with pytest.raises(SystemExit, match=r"tasks: early by 0\.500 s"):
        lateness([due + 1, due - 0.5], NOON, what="tasks")


def test_a_backlog_that_a_round_would_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="7,000 at least"):
        measure_backlog(tmp_path, [6000, 100_000], rounds=1)


def test_a_trickle_of_which_a_post_failed_tells_no_number(tmp_path: Path) -> None:
    place = Place.fresh(tmp_path / "place", amqp_url="amqp://none", redis_url="")
    trickle = Trickle(Load(place.api_port, place.stamps, iter(())))
    trickle.posted += [Posted(accepted={0: b"{}", 1: b"{}"})]

    assert trickle.accepted() == 2
    trickle.posted += [Posted(failures=["503: the ledger is away"])]
    with pytest.raises(SystemExit, match="1 posts failed: 503"):
        trickle.accepted()


@pytest.mark.parametrize(
    ("mix", "states", "in_outbox"),
    [
        (BACKLOG, {"pending"}, 2 * BACKLOG.unpublished),
        (SCHEDULED_ONLY, {"scheduled"}, 2 * MODEL),
        (Mix(scheduled=1, failed=1), {"scheduled", "failed", "completed"}, 2),
    ],
)
def test_a_ledger_is_filled_with_what_was_asked_for(
    tmp_path: Path, mix: Mix, states: set[str], in_outbox: int
) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    fill_ledger(url, 2 * MODEL, mix)
    engine = open_engine(url, connections=1)
    with engine.begin() as connection:
        found = connection.scalars(select(TASKS.c.state)).all()
        due = connection.scalars(select(OUTBOX.c.available_at)).all()
    engine.dispose()

    assert (len(found), set(found), len(due)) == (2 * MODEL, states, in_outbox)
    is_ahead = {at > datetime.now(UTC) + timedelta(days=1) for at in due}
    assert is_ahead == {bool(mix.scheduled)}
