"""The service invoices: `waybill run invoices:service`."""

from waybill import Service
from waybill.kinds import EmailRequested

from invoices.events import InvoiceRequested
from invoices.handlers import render
from invoices.settings import InvoiceSettings, sender

__all__ = ["service"]

service = Service("invoices", settings=InvoiceSettings, resources=sender)
service.handles(InvoiceRequested, attempts=5, soft_limit=30, hard_limit=60)(render)
service.emits(EmailRequested)
