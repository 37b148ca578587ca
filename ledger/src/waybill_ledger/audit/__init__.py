"""The audit trail: who did what, when and why."""

from waybill_ledger.audit.trail import AuditEntry, AuditFilter, list_audit_entries, record

__all__ = [
    "AuditEntry",
    "AuditFilter",
    "list_audit_entries",
    "record",
]
