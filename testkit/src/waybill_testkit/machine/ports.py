"""Free loopback ports for the stack's servers.

No port is held open between the choice and the server's own bind, so another program may take it in between:
a small race. It is kept small by choosing below the range from which the kernel gives ports to outgoing
connections (Linux: 32768 and up; RFC 6335: 49152 and up). The same choice keeps a client that reconnects in a
loop from being connected to itself, which TCP allows on loopback, and so from taking the port of a restarting
server.
"""

import secrets
import socket
from collections.abc import Mapping

#: The only address that the stack listens on.
LOOPBACK = "127.0.0.1"
#: Above the ports that well-known servers use, below the kernel's ephemeral range.
LOWEST, HIGHEST = 20_000, 31_999
#: Enough draws to find a free port unless nearly all of the range is taken.
DRAWS = 1_000


class PortTakenError(Exception):
    """A port that was asked for is in use; `str()` names it and says what to do."""


def free_ports(count: int) -> list[int]:
    """Choose `count` different loopback ports that nothing listens on now.

    Raises:
        PortTakenError: there are not so many free ports between `LOWEST` and `HIGHEST`.
    """
    chosen: set[int] = set()
    for _ in range(DRAWS * count):
        if len(chosen) == count:
            break
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST + 1)
        if port not in chosen and is_free(port):
            chosen.add(port)
    if len(chosen) < count:
        raise PortTakenError(
            f"found only {len(chosen)} of {count} free ports between {LOWEST} and {HIGHEST}: "
            "stop some of the programs that listen there (ss -ltnp lists them)"
        )
    return list(chosen)


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Return whether a server could bind `port` (1 to 65535) of `host` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections that linger in TIME_WAIT do not count as use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:  # in use, or reserved for root
            return False
    return True


def require_free(wanted: Mapping[str, tuple[int, str]], host: str = LOOPBACK) -> None:
    """Check all requested ports.

    Args:
        wanted: for each process name its port and the way to choose another one, such as `--gateway-port`.
        host: the address that they are to listen on.

    Raises:
        PortTakenError: two processes want the same port, or a port cannot be bound; a line for each.
    """
    faults = []
    owners: dict[int, str] = {}
    for name, (port, another) in wanted.items():
        if port in owners:
            faults.append(
                f"port {port} is asked for by {owners[port]} and by {name}: choose another with {another}"
            )
        elif not is_free(port, host):
            faults.append(
                f"port {port}, wanted for {name}, cannot be used on {host}: stop what listens there "
                f"(ss -ltnp 'sport = :{port}' names it) or choose another with {another}"
            )
        owners.setdefault(port, name)
    if faults:
        raise PortTakenError("\n".join(faults))
