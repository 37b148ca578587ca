"""An installation in containers, through `docker compose`."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

#: Building every image from nothing takes minutes on a slow line.
RUN_SECONDS = 1800
#: Of the output in an error message.
TAIL_LINES = 20


class ComposeError(Exception):
    """`docker compose` failed; `str()` has the end of what it said."""


class Compose:
    """One project of `docker compose`.

    Args:
        folder: where compose.yaml is.
        environment: what it and compose.yaml read; None: that of this process.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._environment = environment

    def run(self, *arguments: str) -> str:
        """Runs a command of it and gives its output.

        Raises:
            ComposeError: there is no Docker, or the command failed.
        """
        return self._docker("compose", *arguments)

    def address(self, service: str, port: int) -> str:
        """The URL under which a published port can be reached from here.

        Raises:
            ComposeError: the service does not run.
        """
        return f"http://{self.run('port', service, str(port)).strip()}"

    def container(self, service: str) -> str:
        """The id of the first container of a service; empty if it has none."""
        return next(iter(self.run("ps", "-q", service).split()), "")

    def pid_of(self, service: str) -> int:
        """The process id of the first container of a service; 0 while it does not run."""
        container = self.container(service)
        if not container:
            return 0
        return int(self._docker("inspect", "--format", "{{.State.Pid}}", container))

    def _docker(self, *arguments: str) -> str:
        try:
            ended = subprocess.run(  # noqa: S603 - our own words, no shell
                ["docker", *arguments],  # noqa: S607 - wherever it is installed
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            raise ComposeError("there is no docker: install Docker with Compose 2.24 or newer") from error
        if ended.returncode != 0:
            tail = "\n  ".join((ended.stdout + ended.stderr).splitlines()[-TAIL_LINES:])
            raise ComposeError(f"docker {' '.join(arguments)} failed:\n  {tail}")
        return ended.stdout
