"""Emails: mails with their own text or from a template."""

from waybill_gateway.emails import routes
from waybill_gateway.emails.templates import check_email

__all__ = [
    "check_email",
    "routes",
]
