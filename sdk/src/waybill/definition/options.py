"""The options of a handler: how its attempts are made."""

from dataclasses import dataclass
from typing import Any, TypedDict

from pydantic import ValidationError

from waybill.definition.contracts import DefinitionError
from waybill_contracts.registry import Policy
from waybill_worker.attempt import PolicyOverride
from waybill_worker.consume import ServiceSettings
from waybill_worker.limits import TimeLimits


class HandlerOptions(TypedDict, total=False):
    """Each counts more than the service's settings, and less than `WAYBILL_POLICY_OVERRIDES` for the kind."""

    #: Most attempts of a task; what is snoozed does not count.
    attempts: int
    #: The longest wait before the second attempt, in seconds; it doubles with each further one.
    base_seconds: float
    #: The longest wait before any attempt, in seconds.
    cap_seconds: float
    #: Seconds after the first attempt in which others may start.
    deadline_seconds: float
    #: Seconds after which the handler is asked to stop.
    soft_limit: float
    #: Seconds after which it is cut off, if necessary with its process.
    hard_limit: float
    #: Most of its attempts at once in one process of the service; the default is `WAYBILL_PREFETCH`.
    concurrency: int
    #: A plain `def` function runs in processes instead of threads; it must be one of a module.
    processes: bool


#: Options to the fields of the worker's policy.
_FIELDS = {
    "attempts": "max_attempts",
    "base_seconds": "base_seconds",
    "cap_seconds": "cap_seconds",
    "deadline_seconds": "deadline_seconds",
    "soft_limit": "soft_limit_seconds",
    "hard_limit": "hard_limit_seconds",
    "concurrency": "concurrency",
}


@dataclass(frozen=True, slots=True)
class Options:
    """Checked options of a handler."""

    policy: PolicyOverride
    #: The function runs in processes.
    processes: bool

    @classmethod
    def of(cls, given: HandlerOptions, settings: type[ServiceSettings]) -> "Options":
        """Checks options.

        Args:
            given: as written by the author.
            settings: the class of the service's settings, whose defaults hold where nothing is given.

        Raises:
            DefinitionError: one is unknown or out of its range, or the time limits contradict each other.
        """
        known = HandlerOptions.__annotations__
        if unknown := sorted(given.keys() - known):
            raise DefinitionError(f"unknown options: {', '.join(unknown)}; there are {', '.join(known)}")
        try:
            policy = PolicyOverride(
                **{_FIELDS[name]: value for name, value in given.items() if name in _FIELDS}
            )
        except ValidationError as error:
            names = {field: name for name, field in _FIELDS.items()}
            faults = (f"{names[str(each['loc'][0])]}: {each['msg']}" for each in error.errors())
            raise DefinitionError("; ".join(faults)) from None
        options = cls(policy, bool(given.get("processes")))
        limits = options.stated(settings)
        try:
            TimeLimits(limits.soft_limit_seconds or 0, limits.hard_limit_seconds or 0)
        except ValueError as error:
            raise DefinitionError(f"{error}: give soft_limit and hard_limit") from None
        return options

    def stated(self, settings: type[ServiceSettings]) -> Policy:
        """The policy for the manifest: what is given, else the defaults of the settings' class."""
        policy = self.policy
        return Policy(
            attempts=policy.max_attempts or _default(settings, "retry_max_attempts"),
            soft_limit_seconds=policy.soft_limit_seconds or _default(settings, "soft_limit_seconds"),
            hard_limit_seconds=policy.hard_limit_seconds or _default(settings, "hard_limit_seconds"),
            concurrency=policy.concurrency,
        )


def _default(settings: type[ServiceSettings], field: str) -> Any:
    return settings.model_fields[field].get_default(call_default_factory=True)
