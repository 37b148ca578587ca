"""The local stack: which processes it has, where it listens, and the file that says so."""

from waybill_devstack.stack.kept_broker import kept_running
from waybill_devstack.stack.plan import OPS_ADDRESS
from waybill_devstack.stack.preferred_ports import USUAL, choose_ports
from waybill_devstack.stack.restarts import RestartError, restart
from waybill_devstack.stack.stack import Folders, running
from waybill_devstack.stack.stackfile import StackFile, read_stackfile, running_stack

__all__ = [
    "OPS_ADDRESS",
    "USUAL",
    "Folders",
    "RestartError",
    "StackFile",
    "choose_ports",
    "kept_running",
    "read_stackfile",
    "restart",
    "running",
    "running_stack",
]
