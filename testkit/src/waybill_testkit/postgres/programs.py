"""Finds PostgreSQL's server programs, and installs Debian's package where that is allowed."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

#: Where Debian and its kin, Homebrew, and the RPM keep the server's programs, which are not in PATH.
PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/usr/pgsql-*/bin",
)
#: Debian's tool reads this before it makes a system cluster, which is not wanted here.
CLUSTER_CONFIG = Path("/etc/postgresql-common/createcluster.conf")
#: A download of some 20 MB and its set-up, on a slow line.
INSTALL_SECONDS = 600


def find_programs(path: str, places: Sequence[str] = PLACES) -> Path | None:
    """Find the folder of `initdb` and `postgres`: what pg_config names, the known places, PATH."""
    folders: list[Path] = []
    pg_config = shutil.which("pg_config", path=path)
    if pg_config:
        named = subprocess.run(  # noqa: S603 - a program of PATH, no input
            [pg_config, "--bindir"], capture_output=True, text=True, check=False
        )
        folders.append(Path(named.stdout.strip()))
    for place in places:
        folders.extend(sorted(Path("/").glob(place.lstrip("/")), reverse=True))  # the newest version first
    folders.extend(Path(folder) for folder in path.split(os.pathsep) if folder)
    for folder in folders:
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return folder
    return None


def install_programs() -> str:
    """Try the package manager; return why it did not help."""
    apt_get = shutil.which("apt-get")
    if apt_get is None or os.geteuid() != 0:
        return "no package manager may be used (apt-get, as root)"
    if not CLUSTER_CONFIG.exists():
        CLUSTER_CONFIG.parent.mkdir(parents=True, exist_ok=True)
        CLUSTER_CONFIG.write_text("create_main_cluster = false\n")
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", apt_get, "-q", "-y"]
    # Our answer above is a configuration file of the package: keep it.
    keep = ["-o", "Dpkg::Options::=--force-confold"]
    install = [*apt, *keep, "--no-install-recommends", "install", "postgresql"]
    if _run(install).returncode == 0:
        return "apt-get installed a PostgreSQL that is in no known place"
    # The lists of packages may be old or missing, as in fresh containers.
    _run([*apt, "update"])
    ended = _run(install)
    if ended.returncode == 0:
        return "apt-get installed a PostgreSQL that is in no known place"
    return "apt-get could not install postgresql: " + " / ".join(ended.stdout.splitlines()[-3:])


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - fixed commands, no untrusted input
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
