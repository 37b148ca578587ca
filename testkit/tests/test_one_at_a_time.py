import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from waybill_testkit.machine.one_at_a_time import one_at_a_time

OTHER = """
import sys
from waybill_testkit.machine.one_at_a_time import one_at_a_time
print("there", flush=True)
with one_at_a_time(sys.argv[1]):
    print("its turn", flush=True)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary folder of both processes, for the lock."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def other_process(doing: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", OTHER, doing], stdout=subprocess.PIPE, text=True)


def test_another_process_waits_until_the_first_has_done_it() -> None:
    with one_at_a_time("shared"):
        other = other_process("shared")
        assert other.stdout is not None
        assert other.stdout.readline() == "there\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
    said, _ = other.communicate(timeout=60)

    assert (said, other.returncode) == ("its turn\n", 0)


def test_something_else_is_done_meanwhile() -> None:
    with one_at_a_time("shared"):
        said, _ = other_process("another").communicate(timeout=60)

    assert said == "there\nits turn\n"
