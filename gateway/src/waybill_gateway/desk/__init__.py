"""The failure desk: dead letters, groups, redrives, audit trail."""

from waybill_gateway.desk import audit_routes, group_routes, letter_routes, redrive_routes, waiting_routes
from waybill_gateway.desk.group_views import GroupView
from waybill_gateway.desk.letter_routes import no_such_letter
from waybill_gateway.desk.letter_views import FieldFault, WholeLetterView
from waybill_gateway.desk.models import (
    AuditQuery,
    CloseLetters,
    GroupNote,
    GroupQuery,
    GroupReason,
    ItemQuery,
    LetterId,
    LetterQuery,
    PayloadPatch,
    PlanRedrive,
    Preview,
    RedriveQuery,
    RestoreLetters,
    StartRedrive,
    SteerRedrive,
)
from waybill_gateway.desk.redrive_views import RedriveView

__all__ = [
    "AuditQuery",
    "CloseLetters",
    "FieldFault",
    "GroupNote",
    "GroupQuery",
    "GroupReason",
    "GroupView",
    "ItemQuery",
    "LetterId",
    "LetterQuery",
    "PayloadPatch",
    "PlanRedrive",
    "Preview",
    "RedriveQuery",
    "RedriveView",
    "RestoreLetters",
    "StartRedrive",
    "SteerRedrive",
    "WholeLetterView",
    "audit_routes",
    "group_routes",
    "letter_routes",
    "no_such_letter",
    "redrive_routes",
    "waiting_routes",
]
