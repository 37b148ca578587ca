"""The failure desk: dead letters, groups, redrives, audit trail."""

from waybill_gateway.desk import audit_routes, group_routes, letter_routes, redrive_routes, waiting_routes
from waybill_gateway.desk.group_views import GroupView
from waybill_gateway.desk.letter_routes import no_such_letter
from waybill_gateway.desk.letter_views import (
    ChangedView,
    FieldFault,
    LetterView,
    PreviewView,
    WholeLetterView,
)
from waybill_gateway.desk.models import (
    AuditQuery,
    CloseLetters,
    GroupNote,
    GroupQuery,
    GroupReason,
    ItemQuery,
    LetterFilterQuery,
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
    "ChangedView",
    "CloseLetters",
    "FieldFault",
    "GroupNote",
    "GroupQuery",
    "GroupReason",
    "GroupView",
    "ItemQuery",
    "LetterFilterQuery",
    "LetterId",
    "LetterQuery",
    "LetterView",
    "PayloadPatch",
    "PlanRedrive",
    "Preview",
    "PreviewView",
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
