"""The command in this process, on a gateway that is really served: a port, a ledger, no broker."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from waybill_cli.main import run
from waybill_testkit.gateway.served import Served, served
from waybill_testkit.machine import ForkedProcess

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


async def ran_apart(*arguments: str, program: str | Path = "waybill_cli") -> Ran:
    """How the command ended in a process of its own, which nothing of this one's environment configures."""
    return await asyncio.to_thread(_ran_apart, program, arguments)


def _ran_apart(program: str | Path, arguments: Sequence[str]) -> Ran:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")}
    with TemporaryDirectory(prefix="waybill-ran-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        code = ForkedProcess(program, *arguments, env=environment, log=out, errors=err).wait()
        return Ran(code, out.read_text(), err.read_text())


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
