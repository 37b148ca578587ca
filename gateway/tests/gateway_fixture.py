"""A fresh gateway for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from waybill_testkit.gateway.in_process import Gateway, running


@pytest.fixture
async def gateway(tmp_path: Path, ledger_url: str) -> AsyncIterator[Gateway]:
    """A gateway on each database in turn, unless the test's module overrides `database_system`."""
    async with running(tmp_path, ledger_url=ledger_url) as started:
        yield started
