"""Ports of a stack: those on the command line, else the usual ones if free, else any."""

import argparse

from waybill_devstack.stack.plan import Ports
from waybill_testkit.machine import free_ports, is_free, require_free

#: Easy to remember; used only if free.
USUAL = {"gateway": 8000, "mailbox": 8025, "crm": 8090}


def choose_ports(arguments: argparse.Namespace) -> Ports:
    """The ports for a stack.

    Args:
        arguments: of the command line, with `gateway_port`, `mailbox_port` and `crm_port`, each perhaps None.

    Raises:
        PortTakenError: one that was asked for is taken; the message says what to do.
    """
    asked = {name: getattr(arguments, f"{name}_port") for name in USUAL}
    require_free({name: (port, f"--{name}-port") for name, port in asked.items() if port is not None})
    free = iter(free_ports(len(Ports.__dataclass_fields__)))
    chosen = {name: asked[name] or (usual if is_free(usual) else next(free)) for name, usual in USUAL.items()}
    others = {name: next(free) for name in Ports.__dataclass_fields__ if name not in chosen}
    return Ports(**chosen, **others)
