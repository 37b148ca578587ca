"""The failure desk: dead letters, groups, redrives, audit trail."""

from waybill_gateway.desk import audit_routes, group_routes, letter_routes, redrive_routes, waiting_routes
from waybill_gateway.desk.letter_routes import no_such_letter
from waybill_gateway.desk.letter_views import FieldFault
from waybill_gateway.desk.models import LetterId, PayloadPatch

__all__ = [
    "FieldFault",
    "LetterId",
    "PayloadPatch",
    "audit_routes",
    "group_routes",
    "letter_routes",
    "no_such_letter",
    "redrive_routes",
    "waiting_routes",
]
