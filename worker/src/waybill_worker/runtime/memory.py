"""What a process need not carry along once it has begun."""

import ctypes
import gc


def freeze_startup() -> None:
    """Has the garbage collector pass over all that there is now: it is there for as long as the process is.

    Called before the work begins, since the last look at everything takes a tenth of a second.
    """
    gc.collect()
    gc.freeze()


def trim_heap() -> None:
    """Gives the system back what only the start needed: some megabytes, in a few milliseconds.

    Only glibc keeps it until it is asked; where the C library is another there is nothing to do.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
