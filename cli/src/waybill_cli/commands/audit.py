"""`waybill audit`: the audit trail."""

from typing import Any

import click

from waybill_cli.actions import audit_options, show_audit
from waybill_cli.command_line import Command
from waybill_cli.session import Session, with_session


@click.command(
    "audit",
    cls=Command,
    epilog="waybill audit --since 7d\n"
    "waybill audit --action reveal --json\n"
    "waybill audit --subject 01a20797-6d09-71fe    # reveals of this task",
)
@audit_options
@with_session
def audit(session: Session, /, **asked: Any) -> None:
    """Lists actions at the failure desk, erasures and reveals: who, when and why, the latest first."""
    show_audit(session, **asked)
