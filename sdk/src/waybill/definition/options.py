"""The options of a handler: how its attempts are made."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, TypedDict, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from waybill.definition.contracts import DefinitionError
from waybill_contracts.registry import Policy

if TYPE_CHECKING:
    from waybill_worker.attempt import PolicyOverride
    from waybill_worker.consume import ServiceSettings

#: The ranges are the worker's; a test compares them.
_Seconds = Annotated[float, Field(gt=0)]
_LadderSeconds = Annotated[float, Field(gt=0, le=2**17 - 1)]
_LimitSeconds = Annotated[float, Field(gt=0, le=7 * 24 * 60 * 60)]
_Count = Annotated[int, Field(ge=1, le=1000)]
#: What settings say that are not given: those of `ServiceSettings`, which a test compares.
DEFAULTS: Final = {"retry_max_attempts": 16, "soft_limit_seconds": 240.0, "hard_limit_seconds": 300.0}


class HandlerOptions(TypedDict, total=False):
    """Each counts more than the service's settings, and less than `WAYBILL_POLICY_OVERRIDES` for the kind."""

    #: Most attempts of a task; what is snoozed does not count.
    attempts: _Count
    #: The longest wait before the second attempt, in seconds; it doubles with each further one.
    base_seconds: _Seconds
    #: The longest wait before any attempt, in seconds.
    cap_seconds: _LadderSeconds
    #: Seconds after the first attempt in which others may start.
    deadline_seconds: _Seconds
    #: Seconds after which the handler is asked to stop.
    soft_limit: _Seconds
    #: Seconds after which it is cut off, if necessary with its process.
    hard_limit: _LimitSeconds
    #: Most of its attempts at once in one process of the service; the default is `WAYBILL_PREFETCH`.
    concurrency: _Count
    #: A plain `def` function runs in processes instead of threads; it must be one of a module.
    processes: bool


_HINTS: Final = get_type_hints(HandlerOptions, include_extras=True)
_OPTIONAL: Final[dict[str, Any]] = {name: (hint | None, None) for name, hint in _HINTS.items()}
CHECKED: Final[type[BaseModel]] = create_model(
    "HandlerOptions", __config__=ConfigDict(frozen=True, extra="forbid"), **_OPTIONAL
)
#: Options to the fields of the worker's policy that have another name there.
RENAMED: Final = {
    "attempts": "max_attempts",
    "soft_limit": "soft_limit_seconds",
    "hard_limit": "hard_limit_seconds",
}


@dataclass(frozen=True, slots=True)
class Options:
    """Checked options of a handler."""

    given: HandlerOptions

    @classmethod
    def of(cls, given: HandlerOptions, settings: "type[ServiceSettings] | None") -> "Options":
        """Checks options.

        Args:
            given: as written by the author.
            settings: class of the service's settings, whose defaults hold where nothing is given; None: the
                settings of every service.

        Raises:
            DefinitionError: one is unknown or out of its range, or the time limits contradict each other.
        """
        if unknown := sorted(given.keys() - _HINTS):
            raise DefinitionError(f"unknown options: {', '.join(unknown)}; there are {', '.join(_HINTS)}")
        try:
            CHECKED(**given)
        except ValidationError as error:
            faults = (f"{each['loc'][0]}: {each['msg']}" for each in error.errors())
            raise DefinitionError("; ".join(faults)) from None
        options = cls(given)
        stated = options.stated(settings)
        soft, hard = stated.soft_limit_seconds or 0, stated.hard_limit_seconds or 0
        if soft >= hard:
            raise DefinitionError(
                f"the soft time limit ({soft:g} s) must lie below the hard one ({hard:g} s): "
                "give soft_limit and hard_limit"
            )
        return options

    @property
    def processes(self) -> bool:
        """Whether the function runs in processes."""
        return self.given.get("processes", False)

    @property
    def policy(self) -> "PolicyOverride":
        """What the code says of the policy."""
        # Where a service runs: to define one must not load what runs it.
        from waybill_worker.attempt import PolicyOverride  # noqa: PLC0415

        given = {RENAMED.get(name, name): value for name, value in self.given.items()}
        given.pop("processes", None)
        return PolicyOverride.model_validate(given)

    def stated(self, settings: "type[ServiceSettings] | None") -> Policy:
        """The policy for the manifest: what is given, else the defaults of the settings' class."""
        given = self.given
        return Policy(
            attempts=given.get("attempts") or _default(settings, "retry_max_attempts"),
            soft_limit_seconds=given.get("soft_limit") or _default(settings, "soft_limit_seconds"),
            hard_limit_seconds=given.get("hard_limit") or _default(settings, "hard_limit_seconds"),
            concurrency=given.get("concurrency"),
        )


def _default(settings: "type[ServiceSettings] | None", field: str) -> Any:
    if settings is None:
        return DEFAULTS[field]
    return settings.model_fields[field].get_default(call_default_factory=True)
