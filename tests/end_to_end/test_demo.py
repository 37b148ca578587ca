import subprocess
import sys
from pathlib import Path


def test_the_demo_takes_the_whole_tour(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "waybill_devstack", "demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "All of it was right." in done.stdout
    assert not (tmp_path / ".waybill" / "stack.json").exists(), "the stack is down, and says so"
