"""Finds an installed RabbitMQ, and installs Debian's package where that is allowed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from waybill_testkit.broker.base import BrokerError

#: Debian and its kin, the RPM, Homebrew on its three homes. The wrapper that Debian has in /usr/sbin
#: insists on the user rabbitmq or root, and drops to that user: never use it.
PLACES = (
    "usr/lib/rabbitmq/bin/rabbitmq-server",
    "usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server",
    "opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
    "usr/local/opt/rabbitmq/sbin/rabbitmq-server",
    "home/linuxbrew/.linuxbrew/opt/rabbitmq/sbin/rabbitmq-server",
)
#: Folders of PATH where only distributions' wrappers are.
WRAPPERS = ("/usr/sbin", "/sbin")
#: Asked by invoke-rc.d before a package starts its service; 101 means no.
POLICY = Path("/usr/sbin/policy-rc.d")
#: A download of some 60 MB and its set-up, on a slow line.
INSTALL_SECONDS = 600
#: Of the package manager's output in an error message.
TAIL_LINES = 8


def find_server(path: str, root: Path = Path("/")) -> Path | None:
    """Find RabbitMQ's own start script: in the known places below `root`, then in the folders of PATH."""
    for place in PLACES:
        for found in sorted(root.glob(place), reverse=True):  # the newest version first
            if os.access(found, os.X_OK):
                return found
    folders = [folder for folder in path.split(os.pathsep) if folder and folder.rstrip("/") not in WRAPPERS]
    found_in_path = shutil.which("rabbitmq-server", path=os.pathsep.join(folders)) if folders else None
    return Path(found_in_path) if found_in_path else None


def privilege() -> list[str] | None:
    """What goes before a command that needs root: nothing as root, sudo if it asks nothing, else None."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and _run([sudo, "-n", "true"]).returncode == 0:
        return [sudo, "-n"]
    return None


def install_server(
    apt_get: str, prefix: Sequence[str], policy: Path = POLICY, *, package: str = "rabbitmq-server"
) -> None:
    """Install a server's package without letting it start a service of the system.

    Args:
        apt_get: the program.
        prefix: put before commands that need root; see `privilege`.
        policy: the file that keeps services from starting; one that is there already is left as it is.
        package: its name.

    Raises:
        BrokerError: the package manager failed; the message has the end of its output.
    """
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", apt_get, "-q", "-y"]
    install = [*apt, "--no-install-recommends", "install", package]
    with _no_service_starts(prefix, policy):
        if _run(install).returncode == 0:
            return
        # The lists of packages may be old or missing, as in fresh containers.
        _run([*apt, "update"])
        ended = _run(install)
    if ended.returncode != 0:
        tail = "\n  ".join(ended.stdout.splitlines()[-TAIL_LINES:])
        raise BrokerError(f"apt-get could not install {package}:\n  {tail}")


@contextmanager
def _no_service_starts(prefix: Sequence[str], policy: Path) -> Iterator[None]:
    if policy.exists():
        yield
        return
    with tempfile.NamedTemporaryFile("w", suffix="-policy-rc.d") as script:
        script.write("#!/bin/sh\nexit 101\n")
        script.flush()
        _run([*prefix, "install", "-m", "755", script.name, str(policy)])
        try:
            yield
        finally:
            _run([*prefix, "rm", "-f", str(policy)])


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 (fixed commands, no untrusted input)
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
