"""Memory of a process that only its start needed."""

import ctypes
import gc
from typing import Final

#: New objects after which the youngest are searched for garbage. Nearly all are freed without that, so the
#: interpreter's 700 would mostly have those searched that the tasks under way still need.
YOUNG_OBJECTS: Final = 10_000


def freeze_startup() -> None:
    """Exclude all present objects from garbage collection: they live as long as the process.

    Called before the work begins, because the last full collection takes a tenth of a second. From then on
    garbage is collected, also if the process has put that off while it imported.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
    gc.enable()


def trim_heap() -> None:
    """Return memory to the system that only the start needed: some megabytes, in a few milliseconds.

    Only glibc keeps it until it is asked; with another C library there is nothing to do.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
