"""Deploys releases of the service beside a local stack: each is a process of `waybill run`."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from tests.end_to_end.stack import POLL_SECONDS
from waybill_devstack.stack.plan import SHORT_WAITS, url
from waybill_devstack.stack.stackfile import StackFile
from waybill_testkit.eventually import eventually
from waybill_testkit.machine.lifeline import die_with_parent
from waybill_testkit.machine.ports import free_ports

#: Seconds that anything may take on a busy machine.
PATIENCE = 180.0
#: The modules of the releases are found from here.
ROOT = Path(__file__).parents[3]
_RELEASES = "tests.end_to_end.team"


@dataclass
class Deployment:
    """The team's machine: its processes, and the inbox that they share."""

    stack: StackFile
    folder: Path
    gateway: httpx.AsyncClient
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    async def start(self, release: str) -> None:
        """Registers and starts a release, and waits until it works."""
        (port,) = free_ports(1)
        self.running[release] = self._run(release, "--register", health_port=port)
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:

            async def is_ready() -> bool:
                assert self.running[release].poll() is None, self._log(release).read_text()[-3000:]
                try:
                    return (await client.get(url(port, "/readyz"))).is_success
                except httpx.TransportError:
                    return False

            await eventually(is_ready, PATIENCE, every=POLL_SECONDS)

    async def try_to_start(self, release: str) -> tuple[int, str]:
        """Starts a release that is expected to end by itself; returns its exit code and what it has said."""
        (port,) = free_ports(1)
        process = self._run(release, "--register", health_port=port)
        try:
            code = await asyncio.to_thread(process.wait, PATIENCE)
        finally:
            process.kill()
        return code, self._log(release).read_text()

    async def stop(self, release: str) -> None:
        """Stops a release in order."""
        process = self.running.pop(release)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0, self._log(release).read_text()[-3000:]

    async def get(self, path: str, **params: object) -> Any:
        """The document at a path of the gateway."""
        answer = await self.gateway.get(path, params={name: str(value) for name, value in params.items()})
        return answer.raise_for_status().json()

    async def refused(self, manifest: dict[str, Any]) -> str:
        """Registers a manifest that must be refused and change nothing; returns the refusal."""
        before = await self.get("/v1/services", limit=100)
        answer = await self.gateway.put(f"/v1/services/{manifest['service']}", json=manifest)
        assert answer.status_code == HTTPStatus.CONFLICT, answer.text
        assert answer.json()["type"] == "urn:waybill:problem:registration_refused"
        assert await self.get("/v1/services", limit=100) == before
        return answer.text

    async def every(self, path: str, **params: object) -> list[dict[str, Any]]:
        """All items of a listing."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            at = {} if cursor is None else {"cursor": cursor}
            page = await self.get(path, limit=500, **params, **at)
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return items

    def _run(self, release: str, *options: str, health_port: int) -> subprocess.Popen[bytes]:
        environment = {
            "WAYBILL_URL": self.stack.gateway,
            "WAYBILL_AMQP_URL": self.stack.amqp,
            "WAYBILL_INBOX_URL": f"sqlite:///{self.folder}/invoices.db",
            "WAYBILL_SEALING_KEYS": (self.stack.state / "sealing.key").read_text(),
            "WAYBILL_BOOKS_URL": self.stack.crm,
            "WAYBILL_HEALTH_PORT": str(health_port),
            **SHORT_WAITS,
        }
        with self._log(release).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "waybill_cli", "run", f"{_RELEASES}.{release}:service", *options],
                cwd=ROOT,
                env=os.environ | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it only calls prctl
            )

    def _log(self, release: str) -> Path:
        return self.folder / f"{release}.log"

    def close(self) -> None:
        """Ends what still runs."""
        for process in self.running.values():
            process.kill()
            process.wait()


@contextmanager
def deploying(stack: StackFile, folder: Path, gateway: httpx.AsyncClient) -> Iterator[Deployment]:
    """A machine of the team, for the time of the block."""
    deployment = Deployment(stack, folder, gateway)
    try:
        yield deployment
    finally:
        deployment.close()
