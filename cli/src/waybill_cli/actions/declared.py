"""Waiting until the broker has the bindings of a service."""

import time

from waybill_cli.actions.watch import POLL_SECONDS, OutageTolerance
from waybill_cli.command_line import Exit
from waybill_cli.session import Session


def await_declared(session: Session, path: str, timeout: float) -> Exit:
    """Waits until the service at `path` is declared.

    Args:
        session: of the command.
        path: of the service in the API.
        timeout: seconds at most.

    Returns:
        OK once it is declared, NO if it was not in time.
    """
    deadline = time.monotonic() + timeout
    tolerance = OutageTolerance(session.out)
    while (found := tolerance.ask(lambda: session.gateway.get(path))) is None or not found["declared"]:
        if time.monotonic() >= deadline:
            session.out.remark(
                f"It is registered, but the broker did not get its bindings within {timeout:g} s: "
                "do the broker and the status service run?"
            )
            return Exit.NO
        time.sleep(POLL_SECONDS)
    session.out.remark("The broker has all its bindings.")
    return Exit.OK
