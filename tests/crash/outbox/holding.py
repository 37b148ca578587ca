"""Points at which a process stops until it is killed."""

import signal
from pathlib import Path
from typing import Never


def hold(reached: Path) -> Never:
    """Says that the point is reached, and waits for the end."""
    reached.touch()
    while True:
        signal.pause()
