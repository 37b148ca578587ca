"""What commands do through the gateway in several steps: erase, redrive, register, reveal, watch."""

from waybill_cli.actions.audit_listing import audit_options, show_audit
from waybill_cli.actions.declared import await_declared
from waybill_cli.actions.erase import report_erasure, run_person_erasure, run_task_erasure
from waybill_cli.actions.manifest import stated_manifest
from waybill_cli.actions.redrive import ended_well, follow_redrive, make_redrive_plan
from waybill_cli.actions.reveal import reason_of, reveal_options, revealed
from waybill_cli.actions.watch import follow_task

__all__ = [
    "audit_options",
    "await_declared",
    "ended_well",
    "follow_redrive",
    "follow_task",
    "make_redrive_plan",
    "reason_of",
    "report_erasure",
    "reveal_options",
    "revealed",
    "run_person_erasure",
    "run_task_erasure",
    "show_audit",
    "stated_manifest",
]
