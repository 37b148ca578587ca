from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from waybill_contracts.wire.lifecycle import (
    LIFECYCLE_BATCH,
    ErrorInfo,
    LifecycleData,
    LifecycleType,
    lifecycle_event,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DATA = LifecycleData(
    task_id="t1", service="email", kind="email.requested", redrive_no=0, attempt=1, max_attempts=4
)


def test_a_batch_crosses_the_wire_unchanged() -> None:
    events = [
        lifecycle_event(LifecycleType.STARTED, NOW, DATA),
        lifecycle_event(LifecycleType.COMPLETED, NOW, DATA.model_copy(update={"result": {"a": 1}})),
    ]
    wire = LIFECYCLE_BATCH.dump_json(events, exclude_none=True)
    assert LIFECYCLE_BATCH.validate_json(wire) == events


def test_the_same_fact_has_the_same_id() -> None:
    assert (
        lifecycle_event(LifecycleType.STARTED, NOW, DATA).id
        == lifecycle_event(LifecycleType.STARTED, datetime(2027, 1, 1, tzinfo=UTC), DATA).id
    )


@pytest.mark.parametrize("type_", [LifecycleType.RETRYING, LifecycleType.DEAD])
def test_failures_tell_their_error(type_: LifecycleType) -> None:
    with pytest.raises(ValidationError, match="needs an error"):
        lifecycle_event(type_, NOW, DATA)


def test_long_errors_are_cut() -> None:
    assert len(ErrorInfo.of(ValueError("x" * 5000)).message) == 2000
    assert ErrorInfo.of(TimeoutError()).message == "TimeoutError"
