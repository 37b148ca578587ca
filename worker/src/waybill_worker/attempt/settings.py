"""The settings of retries, time limits and circuits."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings

from waybill_worker.attempt.circuit import CircuitPolicy
from waybill_worker.broker import MAX_DELAY_SECONDS
from waybill_worker.limits import LONGEST_SECONDS, TimeLimits
from waybill_worker.runtime import Seconds

#: At most as long as the delay ladder keeps a message.
LadderSeconds = Annotated[float, Field(gt=0, le=MAX_DELAY_SECONDS)]
#: With more than 25 minutes, messages are acknowledged early (`TimeLimits.is_long`).
LimitSeconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS)]
MaxAttempts = Annotated[int, Field(ge=1, le=1000)]
Concurrency = Annotated[int, Field(ge=1, le=1000)]
Share = Annotated[float, Field(ge=0, le=1)]


class PolicyOverride(BaseModel):
    """Overrides for one kind; None: as for the service's other kinds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_attempts: MaxAttempts | None = None
    base_seconds: Seconds | None = None
    cap_seconds: LadderSeconds | None = None
    jitter: Share | None = None
    deadline_seconds: Seconds | None = None
    snooze_seconds: Seconds | None = None
    snooze_base_seconds: Seconds | None = None
    snooze_cap_seconds: LadderSeconds | None = None
    soft_limit_seconds: Seconds | None = None
    hard_limit_seconds: LimitSeconds | None = None
    concurrency: Concurrency | None = None


class CircuitSettings(BaseSettings):
    """Settings of the circuit breakers of a service."""

    circuit_threshold: int = Field(8, ge=1, le=1000, description="Failures in a row that open a circuit.")
    circuit_base_seconds: Seconds = Field(5, description="How long it stays open at first; it doubles.")
    circuit_cap_seconds: Seconds = Field(120, description="The longest time that it stays open.")

    def circuit_policy(self) -> CircuitPolicy:
        """When a circuit opens, and for how long."""
        return CircuitPolicy(self.circuit_threshold, self.circuit_base_seconds, self.circuit_cap_seconds)


class RetrySettings(BaseSettings):
    """Settings of retries and time limits."""

    # With these, attempts go on for two hours: longer than a deployment or restart of the other side takes.
    retry_max_attempts: MaxAttempts = 16
    retry_base_seconds: Seconds = Field(2, description="The longest wait before the second attempt.")
    retry_cap_seconds: LadderSeconds = Field(900, description="The longest wait before any attempt.")
    retry_jitter: Share = Field(0.2, description="Random share of a wait: 1 full jitter, 0 none.")
    retry_deadline_seconds: Seconds | None = Field(
        None, description="Time after the first attempt in which others may start; none: no limit."
    )
    retry_snooze_seconds: Seconds = Field(
        24 * 60 * 60, description="Time in all for which one attempt may be snoozed."
    )
    retry_snooze_base_seconds: Seconds = Field(
        2, description="The longest wait of an attempt's first snooze; it doubles."
    )
    retry_snooze_cap_seconds: LadderSeconds = Field(
        900, description="The longest snooze, unless the other side asks for a longer one."
    )
    soft_limit_seconds: Seconds = Field(240, description="Time after which a handler is asked to stop.")
    hard_limit_seconds: LimitSeconds = Field(
        300, description="Time after which it is cut off, if necessary with its process."
    )
    policy_overrides: dict[str, PolicyOverride] = Field(
        default_factory=dict,
        description='Overrides for one kind, as JSON: {"email.requested": {"max_attempts": 3}}.',
    )

    @model_validator(mode="after")
    def _time_limits_fit(self) -> Self:
        for kind, override in {"": PolicyOverride(), **self.policy_overrides}.items():
            try:
                self.time_limits(override)
            except ValueError as error:
                raise ValueError(f"{kind}: {error}" if kind else str(error)) from None
        return self

    def time_limits(self, override: PolicyOverride) -> TimeLimits:
        """The time limits of a kind with this override.

        Raises:
            ValueError: the limits contradict each other.
        """
        return TimeLimits(
            override.soft_limit_seconds or self.soft_limit_seconds,
            override.hard_limit_seconds or self.hard_limit_seconds,
        )
