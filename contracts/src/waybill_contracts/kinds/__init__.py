"""The kinds of work that come with Waybill, one module a family, and which services handle them."""

from waybill_contracts.kinds.catalog import CATALOG, DESK_SERVICE, STATUS_SERVICE, WORK_SERVICES
from waybill_contracts.kinds.emails import OPERATOR_MAIL, EmailRequested, check_template_params, operator_mail
from waybill_contracts.kinds.fields import (
    MAX_ADDRESS_LENGTH,
    AcceptedAddress,
    AcceptedBody,
    AcceptedName,
    AcceptedSubject,
    MailAddress,
    OneLine,
    RecordId,
    TargetName,
    without_control_characters,
)
from waybill_contracts.kinds.images import ImageUploaded
from waybill_contracts.kinds.mail_templates import TEMPLATE_PARAMS, TemplateParams
from waybill_contracts.kinds.password_resets import PasswordResetRequested
from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.kinds.template_folder import PARAMS_SUFFIX, TemplateFolderError, read_template_params
from waybill_contracts.kinds.users import UserCreated

__all__ = [
    "CATALOG",
    "DESK_SERVICE",
    "MAX_ADDRESS_LENGTH",
    "OPERATOR_MAIL",
    "PARAMS_SUFFIX",
    "STATUS_SERVICE",
    "TEMPLATE_PARAMS",
    "WORK_SERVICES",
    "AcceptedAddress",
    "AcceptedBody",
    "AcceptedName",
    "AcceptedSubject",
    "EmailRequested",
    "ImageUploaded",
    "MailAddress",
    "OneLine",
    "PasswordResetRequested",
    "RecordId",
    "SyncRequested",
    "TargetName",
    "TemplateFolderError",
    "TemplateParams",
    "UserCreated",
    "check_template_params",
    "operator_mail",
    "read_template_params",
    "without_control_characters",
]
