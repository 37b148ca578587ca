"""The policy of each kind: what operators override, else what the code says, else the service's settings."""

from typing import Final, TypeVar

from waybill_worker.attempt.handlers import EventT, Handler, HandlerFunction, handler
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.settings import PolicyOverride, RetrySettings

Value = TypeVar("Value")
#: Of a kind about which the code says nothing.
_NOTHING_SAID: Final = PolicyOverride()


def configured(
    settings: RetrySettings,
    event: type[EventT],
    function: HandlerFunction[EventT],
    said: PolicyOverride = _NOTHING_SAID,
    *,
    processes: bool = False,
    concurrency: int | None = None,
) -> Handler:
    """Binds `function` to the kind of `event`, with the policy that the settings give this kind.

    Args:
        settings: of the service; what they override for this kind counts most.
        event: the event of the kind.
        function: handles it.
        said: what the code says for this kind; it counts more than what the settings say for all kinds.
        processes: a plain function runs in processes instead of threads.
        concurrency: most of its attempts at once in one process of the service, unless the policy says so.

    Raises:
        ValueError: the time limits contradict each other, or the function cannot run in processes.
    """
    override = _override_of(settings, event.KIND, said)
    policy = policy_of(settings, event.KIND, said)
    return handler(
        event,
        function,
        policy,
        settings.time_limits(override),
        processes=processes,
        concurrency=override.concurrency or concurrency,
    )


def policy_of(settings: RetrySettings, kind: str, said: PolicyOverride = _NOTHING_SAID) -> RetryPolicy:
    """The retry policy of `kind`; `said` as for `configured`."""
    own = _override_of(settings, kind, said)
    return RetryPolicy(
        max_attempts=_first(own.max_attempts, settings.retry_max_attempts),
        base_seconds=_first(own.base_seconds, settings.retry_base_seconds),
        cap_seconds=_first(own.cap_seconds, settings.retry_cap_seconds),
        jitter=_first(own.jitter, settings.retry_jitter),
        deadline_seconds=_first(own.deadline_seconds, settings.retry_deadline_seconds),
        snooze_seconds=_first(own.snooze_seconds, settings.retry_snooze_seconds),
        snooze_base_seconds=_first(own.snooze_base_seconds, settings.retry_snooze_base_seconds),
        snooze_cap_seconds=_first(own.snooze_cap_seconds, settings.retry_snooze_cap_seconds),
    )


def _override_of(settings: RetrySettings, kind: str, said: PolicyOverride) -> PolicyOverride:
    override = settings.policy_overrides.get(kind, _NOTHING_SAID)
    return said.model_copy(update=override.model_dump(exclude_none=True))


def _first(own: Value | None, of_the_service: Value) -> Value:
    return of_the_service if own is None else own
