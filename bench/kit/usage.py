"""What processes use, from /proc, with all their descendants: processor time, wake-ups and memory."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_TICKS = os.sysconf("SC_CLK_TCK")
#: Fields of /proc/<pid>/stat behind the name (proc(5)): parent, user and system time in ticks.
_PARENT, _USER, _SYSTEM = 1, 11, 12


class Watched(Protocol):
    """Processes that are measured together."""

    def pids(self) -> list[int]:
        """The processes that run."""

    def cpu_seconds(self) -> float:
        """Processor time used so far, by those that still run."""

    def memory_bytes(self) -> int:
        """PSS of all."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that somebody else started; see `Watched`."""

    pid: int

    def pids(self) -> list[int]:
        """The process and its descendants."""
        return family(self.pid)

    def cpu_seconds(self) -> float:
        """Processor time of all."""
        return cpu_seconds(self.pids())

    def memory_bytes(self) -> int:
        """PSS of all."""
        return memory_bytes(self.pids())


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[_PARENT]), []).append(int(entry.name))
    found = [pid]
    for member in found:  # grows meanwhile
        found += children.get(member, [])
    return found


def cpu_seconds(pids: list[int]) -> float:
    """Processor time that the processes have used so far."""
    stats = [stat for pid in pids if (stat := _stat(pid))]
    return sum(int(stat[_USER]) + int(stat[_SYSTEM]) for stat in stats) / _TICKS


def wake_ups(pids: list[int]) -> int:
    """How often threads of the processes have waited for something, and gone on."""
    total = 0
    for pid in pids:
        for status in Path("/proc", str(pid)).glob("task/*/status"):
            try:
                text = status.read_text()
            except (FileNotFoundError, ProcessLookupError):  # the thread ended just now
                continue
            total += int(text.partition("\nvoluntary_ctxt_switches:")[2].split(None, 1)[0])
    return total


def memory_bytes(pids: list[int]) -> int:
    """Memory of the processes: PSS, what several share is counted once."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total * 1024


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it ended just now
        return []
    # The name stands in parentheses and may hold anything.
    return text.rpartition(")")[2].split()
