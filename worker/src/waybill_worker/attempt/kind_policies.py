"""The policy of each kind: the service's settings, with the overrides for this kind."""

from typing import TypeVar

from waybill_worker.attempt.handlers import EventT, Handler, HandlerFunction, handler
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.settings import PolicyOverride, RetrySettings

Value = TypeVar("Value")


def configured(
    settings: RetrySettings,
    event: type[EventT],
    function: HandlerFunction[EventT],
    *,
    processes: bool = False,
    concurrency: int | None = None,
) -> Handler:
    """Binds `function` to the kind of `event`, with the policy that the settings give this kind.

    Args:
        settings: the service's.
        event: the event of the kind.
        function: see `handler`.
        processes: a plain function runs in processes instead of threads.
        concurrency: most of its attempts at once in one process of the service, unless the settings say so.

    Raises:
        ValueError: the function cannot run in processes.
    """
    override = settings.policy_overrides.get(event.KIND, PolicyOverride())
    policy = policy_of(settings, event.KIND)
    return handler(
        event,
        function,
        policy,
        settings.time_limits(override),
        processes=processes,
        concurrency=override.concurrency or concurrency,
    )


def policy_of(settings: RetrySettings, kind: str) -> RetryPolicy:
    """The retry policy of `kind`."""
    own = settings.policy_overrides.get(kind, PolicyOverride())
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


def _first(own: Value | None, of_the_service: Value) -> Value:
    return of_the_service if own is None else own
