from typing import Any

import pytest
from pydantic import ValidationError

from waybill_contracts.kinds.images import ImageUploaded
from waybill_worker.attempt.kind_policies import configured, policy_of
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.settings import PolicyOverride
from waybill_worker.broker.delay_ladder import MAX_DELAY_SECONDS
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.limits.time_limits import HELD_SECONDS, TimeLimits
from waybill_worker.service import Service


async def nothing(_event: ImageUploaded, _attempt: object) -> dict[str, Any]:
    return {}


def settings_of(**values: Any) -> ServiceSettings:
    return ServiceSettings(inbox_url="sqlite:///inbox.db", **values)


def test_a_kind_differs_in_what_is_set_for_it_and_in_nothing_else() -> None:
    settings = settings_of(retry_base_seconds=3, policy_overrides={"a": {"max_attempts": 2, "jitter": 0}})

    assert policy_of(settings, "a") == RetryPolicy(2, 3, 900, 0)
    assert policy_of(settings, "b") == RetryPolicy(16, 3, 900, 0.2)


def test_overrides_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYBILL_POLICY_OVERRIDES", '{"image.uploaded": {"cap_seconds": 60}}')
    handler = configured(settings_of(), ImageUploaded, nothing)

    assert handler.policy == RetryPolicy(16, 2, 60, 0.2)


def test_a_kind_may_have_time_limits_of_its_own() -> None:
    settings = settings_of(policy_overrides={"image.uploaded": {"soft_limit_seconds": 10}})

    assert configured(settings, ImageUploaded, nothing).limits == TimeLimits(10, 300)
    assert configured(settings_of(), ImageUploaded, nothing).limits == TimeLimits(240, 300)


@pytest.mark.parametrize(
    "values",
    [
        {"soft_limit_seconds": 300},
        {"hard_limit_seconds": 30},
        {"policy_overrides": {"image.uploaded": {"hard_limit_seconds": 240}}},
    ],
)
def test_a_soft_limit_that_is_not_below_the_hard_one_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="must lie below the hard one"):
        settings_of(**values)


def test_an_attempt_that_may_take_longer_than_the_broker_lets_a_message_be_held_is_long() -> None:
    # Long work past the consumer timeout kills the channel, or loops: celery 6760, dramatiq 827.
    """Pain: long work runs into the broker's own time limit (celery 6760, dramatiq 827)."""
    settings = [settings_of(hard_limit_seconds=minutes * 60) for minutes in (25, 26)]
    limits = [configured(each, ImageUploaded, nothing).limits for each in settings]
    assert [each.is_long for each in limits] == [False, True]
    # The broker's own limit is 30 minutes.
    assert HELD_SECONDS <= 25 * 60
    with pytest.raises(ValidationError, match="hard_limit_seconds"):
        settings_of(hard_limit_seconds=8 * 24 * 60 * 60)


@pytest.mark.parametrize(
    "override",
    [
        {"max_attempts": 0},
        {"max_attempt": 3},
        {"jitter": 1.5},
        {"cap_seconds": MAX_DELAY_SECONDS + 1},
        {"base_seconds": -1},
    ],
)
def test_an_override_that_makes_no_sense_is_refused_by_name(override: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=f"`image.uploaded`.{next(iter(override))}"):
        settings_of(policy_overrides={"image.uploaded": override})


def test_an_override_for_a_kind_of_another_service_is_refused() -> None:
    settings = settings_of(policy_overrides={"email.requested": {"max_attempts": 3}})

    with pytest.raises(ValueError, match=r"\['email.requested'\], but images handles \['image.uploaded'\]"):
        Service("images", settings, (configured(settings, ImageUploaded, nothing),))


def test_what_the_code_says_counts_more_than_the_settings_of_the_service_and_less_than_an_override() -> None:
    settings = settings_of(
        retry_max_attempts=9,
        retry_base_seconds=3,
        policy_overrides={"image.uploaded": {"max_attempts": 2}},
    )
    said = PolicyOverride(max_attempts=5, base_seconds=7, soft_limit_seconds=20)
    handler = configured(settings, ImageUploaded, nothing, said)

    assert handler.policy == RetryPolicy(2, 7, 900, 0.2)
    assert handler.limits == TimeLimits(20, 300)


def test_limits_of_the_code_and_of_the_settings_must_fit_together() -> None:
    with pytest.raises(ValueError, match="soft time limit"):
        configured(settings_of(), ImageUploaded, nothing, PolicyOverride(soft_limit_seconds=400))
