"""Supervised processes: their start, output, restart and end."""

from waybill_devstack.processes.child import ProcessSpec
from waybill_devstack.processes.readiness import http_ok
from waybill_devstack.processes.serving import listen, print_line, serve_until_stopped
from waybill_devstack.processes.supervisor import StartError, Supervisor

__all__ = [
    "ProcessSpec",
    "StartError",
    "Supervisor",
    "http_ok",
    "listen",
    "print_line",
    "serve_until_stopped",
]
