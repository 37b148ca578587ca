"""The command in this process, on a gateway that is really served: a port, a ledger, no broker."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from waybill_cli.main import run
from waybill_testkit.gateway.served import Served, served

WAYBILL = (sys.executable, "-m", "waybill_cli")
NOWHERE = "http://127.0.0.1:1"
EMAIL = {"to": "ada@example.com", "subject": "Hello", "text": "Good morning."}


@dataclass(frozen=True)
class Ran:
    """How a command line ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def document(self) -> dict[str, Any]:
        [line] = self.lines
        return line


async def ran_apart(*arguments: str, program: Sequence[str] = WAYBILL) -> Ran:
    """How the command ended in a process of its own, which nothing of this one's environment configures."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")}
    process = await asyncio.create_subprocess_exec(
        *program,
        *arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


class Waybill:
    """The command, as a test types it."""

    def __init__(self, captured: pytest.CaptureFixture[str], url: str) -> None:
        self._captured = captured
        self._url = url

    def __call__(self, *arguments: str | Path | int) -> Ran:
        self._captured.readouterr()
        code = run([*map(str, arguments), "--url", self._url])
        said = self._captured.readouterr()
        return Ran(code, said.out, said.err)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def waybill(gateway: Served, capsys: pytest.CaptureFixture[str]) -> Waybill:
    return Waybill(capsys, gateway.url)
