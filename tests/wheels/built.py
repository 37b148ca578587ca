"""The wheels of the workspace, built once for all tests of a process."""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
#: Longest, for all of them.
BUILD_SECONDS = 300


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheels."""
    folder = tmp_path_factory.mktemp("wheels")
    options = ("--quiet", "--offline", "--wheel", "--all-packages")
    run([UV, "build", *options, "--out-dir", folder, ROOT], BUILD_SECONDS)
    return folder


@cache
def index_setting() -> dict[str, str]:
    """The variable with the package index, if one is set."""
    # uv reads no configuration of pip: it gets pip's index where one is set, as in bootstrap.sh.
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    index = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return {"UV_DEFAULT_INDEX": index} if index else {}


def run(command: Sequence[str | Path], seconds: int) -> None:
    """Runs a command, which must end with 0."""
    done = subprocess.run(
        list(map(str, command)),
        env=index_setting() | os.environ,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
