"""The mail templates of Waybill and their parameters; their texts are in the email service."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from waybill_contracts.kinds.fields import MAX_NAME_LENGTH, Link, PersonName

#: A template below, or one of the installation (`waybill_contracts.kinds.template_folder`).
TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
#: Text that a template shows unchanged, bounded to limit the size of a mail.
ShownText = Annotated[str, Field(max_length=2000)]
ShownName = Annotated[str, Field(max_length=MAX_NAME_LENGTH)]


class TemplateParams(BaseModel):
    """Parameters of a template."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WelcomeParams(TemplateParams):
    """Welcome of a new user by name."""

    name: PersonName


class PasswordResetParams(TemplateParams):
    """Link to set a new password, valid until it expires."""

    link: Link
    expires_at: datetime


class OpsAlertParams(TemplateParams):
    """Alert to operators: a task failed permanently."""

    task_id: ShownName
    kind: ShownName
    service: ShownName
    error_type: ShownName
    error_message: ShownText
    attempts: int
    failed_at: datetime
    task_url: Link


class FailureGroup(TemplateParams):
    """Failures of one kind, with the latest of them."""

    service: ShownName
    kind: ShownName
    error_type: ShownName
    error_message: ShownText
    count: int
    last_at: AwareDatetime
    is_new: bool
    task_url: Link


class OpsDigestParams(TemplateParams):
    """Digest for operators: the permanent failures in a period, the largest groups first."""

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
