import pytest

from waybill_contracts.wire.trace import accepted_traceparent, new_traceparent, trace_id_of

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


def test_a_new_trace_is_one_that_everybody_takes() -> None:
    made = {new_traceparent() for _ in range(100)}

    assert len({trace_id_of(each) for each in made}) == 100
    assert all(accepted_traceparent(each) == each and each.endswith("-01") for each in made)


def test_a_callers_trace_is_gone_on_with() -> None:
    assert accepted_traceparent(PARENT) == PARENT
    assert trace_id_of(PARENT) == TRACE_ID


def test_that_a_caller_does_not_sample_is_kept() -> None:
    assert accepted_traceparent(PARENT[:-1] + "0") == PARENT[:-1] + "0"


def test_a_later_version_is_cut_to_ours() -> None:
    assert accepted_traceparent(f"cc{PARENT[2:]}-what-the-future-brings") == PARENT


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "x",
        PARENT.upper(),
        f"{PARENT}-more",
        f"{PARENT}\n",
        f" {PARENT}",
        f"ff{PARENT[2:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID[1:]}-00f067aa0ba902b7-01",
    ],
)
def test_what_is_no_traceparent_is_left_out(text: str | None) -> None:
    assert accepted_traceparent(text) is None
