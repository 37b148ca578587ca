"""The mail templates and the parameters each of them takes; the email service owns how they look."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from waybill_contracts.kinds.fields import MAX_NAME_LENGTH, Link, PersonName

#: One of those below, or of the installation's own (`waybill_contracts.kinds.template_folder`).
TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
#: Text that a template shows as it is, bounded so that no mail grows beyond reason.
ShownText = Annotated[str, Field(max_length=2000)]
ShownName = Annotated[str, Field(max_length=MAX_NAME_LENGTH)]


class TemplateParams(BaseModel):
    """What a template is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WelcomeParams(TemplateParams):
    """Greets a new user by name."""

    name: PersonName


class PasswordResetParams(TemplateParams):
    """Brings the link that lets its holder set a new password until it expires."""

    link: Link
    expires_at: datetime


class OpsAlertParams(TemplateParams):
    """Tells the operators of a task that failed for good."""

    task_id: ShownName
    kind: ShownName
    service: ShownName
    error_type: ShownName
    error_message: ShownText
    attempts: int
    failed_at: datetime
    task_url: Link


class FailureGroup(TemplateParams):
    """Failures of one kind, and the latest of them."""

    service: ShownName
    kind: ShownName
    error_type: ShownName
    error_message: ShownText
    count: int
    last_at: AwareDatetime
    is_new: bool
    task_url: Link


class OpsDigestParams(TemplateParams):
    """Tells the operators how many failed for good in a time, the largest groups of them first."""

    since: datetime
    until: datetime
    failures: int
    kinds: int
    groups: Annotated[tuple[FailureGroup, ...], Field(max_length=50)]
    tasks_url: Link


TEMPLATE_PARAMS: Mapping[str, type[TemplateParams]] = MappingProxyType(
    {
        "welcome": WelcomeParams,
        "password_reset": PasswordResetParams,
        "ops_alert": OpsAlertParams,
        "ops_digest": OpsDigestParams,
    }
)
