"""No test hangs: what waits for ever fails, the next one runs, and fixtures clean up."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HANGING = """
import asyncio
import pytest

@pytest.fixture
async def thing():
    yield
    print("cleaned up")

async def test_that_waits_for_ever(thing):
    await asyncio.Event().wait()

async def test_that_comes_after_it(thing):
    pass
"""


def test_a_test_that_waits_for_ever_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "test_hanging.py").write_text(HANGING)
    ours = ("-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *ours, "-o", "timeout=2", "-s", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert "1 failed, 1 passed" in ran.stdout, ran.stdout + ran.stderr
    assert "Timeout (>2.0s)" in ran.stdout
    assert ran.stdout.count("cleaned up") == 2


def test_every_test_has_a_limit(request: pytest.FixtureRequest) -> None:
    assert 0 < float(request.config.getini("timeout")) <= 600
    assert request.config.getini("timeout_method") == "signal"
    assert request.config.getini("faulthandler_exit_on_timeout") is True
