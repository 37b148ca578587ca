"""Ratios are reported only of complete measurements."""

from bench.figures import ACCEPTED, Round
from bench.summary import Spread, Summary
from bench.table import table


def rounds(ours: list[float], theirs: list[float]) -> list[Round]:
    pairs = zip(ours, theirs, strict=True)
    return [
        each
        for one, other in pairs
        for each in (
            Round("Waybill", values={ACCEPTED.key: one}),
            Round("peer", values={ACCEPTED.key: other}),
        )
    ]


def test_a_ratio_is_the_median_of_each_rounds_own() -> None:
    # The whole machine was ten times slower in the second round, which changes no ratio.
    summary = Summary(rounds([200, 20, 330], [100, 10, 110]))

    assert summary.ratio("Waybill", "peer", ACCEPTED).value == Spread(2, 2, 3)
    assert summary.figure("Waybill", ACCEPTED) == Spread(200, 20, 330)


def test_there_is_no_ratio_if_one_round_of_either_had_a_fault() -> None:
    measured = rounds([200, 200], [100, 100])
    measured[3].faults.append("5 of 500 accepted tasks have no recorded outcome")

    ratio = Summary(measured).ratio("Waybill", "peer", ACCEPTED)

    assert ratio.value is None
    assert ratio.refused == "peer: 5 of 500 accepted tasks have no recorded outcome"


def test_there_is_no_ratio_of_a_missing_figure() -> None:
    measured = [Round("Waybill", values={ACCEPTED.key: 200}), Round("peer")]

    assert Summary(measured).ratio("Waybill", "peer", ACCEPTED).refused == "peer has no figure"


def test_others_are_shown_if_our_own_is_left_out() -> None:
    summary = Summary([Round("peer", values={ACCEPTED.key: 100})])

    shown = table(summary, {"machine": "small"}, {"peer": ("nothing", "quickly")}, ["Waybill"])

    assert "peer" in shown
    assert "Waybill" not in shown
