from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest
from pydantic import ValidationError

from waybill_contracts.privacy.mask import Mask
from waybill_contracts.wire.lifecycle import (
    LIFECYCLE_BATCH,
    MAX_PROGRESS_LENGTH,
    ErrorInfo,
    LifecycleData,
    LifecycleType,
    ProgressInfo,
    lifecycle_event,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DATA = LifecycleData(
    task_id="t1", service="email", kind="email.requested", redrive_no=0, attempt=1, max_attempts=4
)


def test_a_batch_crosses_the_wire_unchanged() -> None:
    events = [
        lifecycle_event(LifecycleType.STARTED, NOW, DATA),
        lifecycle_event(
            LifecycleType.PROGRESS, NOW, DATA.model_copy(update={"progress": ProgressInfo(text="page 1")})
        ),
        lifecycle_event(LifecycleType.COMPLETED, NOW, DATA.model_copy(update={"result": {"a": 1}})),
    ]
    wire = LIFECYCLE_BATCH.dump_json(events, exclude_none=True)
    assert LIFECYCLE_BATCH.validate_json(wire) == events


def test_the_same_fact_has_the_same_id() -> None:
    assert (
        lifecycle_event(LifecycleType.STARTED, NOW, DATA).id
        == lifecycle_event(LifecycleType.STARTED, datetime(2027, 1, 1, tzinfo=UTC), DATA).id
    )


def test_each_progress_has_an_id_of_its_own() -> None:
    first, second = (
        lifecycle_event(
            LifecycleType.PROGRESS,
            NOW + timedelta(seconds=seconds),
            DATA.model_copy(update={"progress": ProgressInfo(share=seconds / 2)}),
        )
        for seconds in (0, 1)
    )
    assert first.id != second.id


def test_progress_says_how_far() -> None:
    with pytest.raises(ValidationError, match=r"task\.progress needs progress"):
        lifecycle_event(LifecycleType.PROGRESS, NOW, DATA)


@pytest.mark.parametrize(
    ("share", "within"), [(None, None), (0.4, 0.4), (1, 1), (-0.1, 0), (7, 1), (nan, None), (inf, 1)]
)
def test_any_share_of_a_handler_is_brought_into_its_range(share: float | None, within: float | None) -> None:
    assert ProgressInfo.of(share, "").share == within


def test_texts_of_progress_are_cut_and_masked() -> None:
    mask = Mask(["Anna Quillfeather"])
    assert ProgressInfo.of(None, "mail to Anna Quillfeather, bob@example.com", mask).text == (
        "mail to ***, b***@example.com"
    )
    assert len(ProgressInfo.of(None, "x" * 5000).text) == MAX_PROGRESS_LENGTH
    assert ProgressInfo.of(None, "file \udcff\x00").text == "file \\udcff\\x00"


@pytest.mark.parametrize("type_", [LifecycleType.RETRYING, LifecycleType.DEAD])
def test_failures_tell_their_error(type_: LifecycleType) -> None:
    with pytest.raises(ValidationError, match="needs an error"):
        lifecycle_event(type_, NOW, DATA)


def test_long_errors_are_cut() -> None:
    assert len(ErrorInfo.of(ValueError("x" * 5000)).message) == 2000
    assert ErrorInfo.of(TimeoutError()).message == "TimeoutError"
