"""Several processes of one program behind one parent, which restarts those that die."""

from waybill_worker.prefork.exit_codes import EXIT_BROKEN, EXIT_MISCONFIGURED
from waybill_worker.prefork.parent import run_processes
from waybill_worker.prefork.siblings import Answer, Siblings, siblings

__all__ = [
    "EXIT_BROKEN",
    "EXIT_MISCONFIGURED",
    "Answer",
    "Siblings",
    "run_processes",
    "siblings",
]
