"""The mail templates and the parameters each of them takes; the email service owns how they look."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.fields import MAX_NAME_LENGTH, Link, PersonName

TemplateName = Literal["welcome", "password_reset", "ops_alert", "ops_digest"]
#: Text that a template shows as it is, bounded so that no mail grows beyond reason.
ShownText = Annotated[str, Field(max_length=2000)]
ShownName = Annotated[str, Field(max_length=MAX_NAME_LENGTH)]


class _Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WelcomeParams(_Params):
    """Greets a new user by name."""

    name: PersonName


class PasswordResetParams(_Params):
    """Brings the link that lets its holder set a new password until it expires."""

    link: Link
    expires_at: datetime


class OpsAlertParams(_Params):
    """Tells the operators of a task that failed for good."""

    task_id: ShownName
    kind: ShownName
    service: ShownName
    error_type: ShownName
    error_message: ShownText
    attempts: int
    failed_at: datetime
    task_url: Link


class FailureGroup(_Params):
    """Failures of one kind, and the latest of them."""

    service: ShownName
    kind: ShownName
    error_type: ShownName
    error_message: ShownText
    count: int
    last_at: AwareDatetime
    is_new: bool
    task_url: Link


class OpsDigestParams(_Params):
    """Tells the operators how many failed for good in a time, the largest groups of them first."""

    since: datetime
    until: datetime
    failures: int
    kinds: int
    groups: Annotated[tuple[FailureGroup, ...], Field(max_length=50)]
    tasks_url: Link


TEMPLATE_PARAMS: Mapping[str, type[_Params]] = MappingProxyType(
    {
        "welcome": WelcomeParams,
        "password_reset": PasswordResetParams,
        "ops_alert": OpsAlertParams,
        "ops_digest": OpsDigestParams,
    }
)
