"""The folder of a parent and its processes: who runs, who has begun to work, and where each is asked."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that only this parent and its processes use; their metrics are in it too."""

    path: Path

    @classmethod
    @contextmanager
    def fresh(cls) -> Iterator["Folder"]:
        """A new one, removed at the end of the block.

        Raises:
            OSError: it cannot be made.
        """
        path = Path(tempfile.mkdtemp(prefix="waybill-"))
        try:
            yield cls(path)
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def socket(self, number: int) -> Path:
        """Where a process is asked about itself."""
        return self.path / f"{number}.sock"

    def begun(self, number: int) -> Path:
        """The file that a process makes when it has begun to work."""
        return self.path / f"{number}.begun"

    def has_all_been_ready(self) -> Path:
        """The file that is made when all processes were ready at once for the first time."""
        return self.path / "ready"

    def pids(self) -> list[int]:
        """The processes that run."""
        return sorted(int(each.name.split(".")[1]) for each in self.path.glob("*.pid"))

    def started(self, number: int, pid: int) -> None:
        """Notes that a process was started."""
        self._pid(number, pid).touch()

    def ended(self, number: int, pid: int) -> None:
        """Removes what a process that has ended leaves."""
        for each in (self._pid(number, pid), self.socket(number), self.begun(number)):
            each.unlink(missing_ok=True)

    def _pid(self, number: int, pid: int) -> Path:
        # In the name, which is there at once or not at all.
        return self.path / f"{number}.{pid}.pid"
