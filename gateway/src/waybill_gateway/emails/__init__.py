"""Emails: mails with their own text or from a template."""

from waybill_gateway.emails import routes
from waybill_gateway.emails.models import EmailFields, unsubscribe_faults, validated_beside
from waybill_gateway.emails.templates import require_known_template

__all__ = [
    "EmailFields",
    "require_known_template",
    "routes",
    "unsubscribe_faults",
    "validated_beside",
]
