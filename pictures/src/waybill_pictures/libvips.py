"""Configures libvips for a worker: no warnings, no cache, loaders only for the accepted formats."""

import os
from functools import cache

from waybill_contracts.images import ACCEPTED_FORMATS


@cache
def load_libvips(threads: int = 1) -> None:
    """Loads libvips into this process; call it before anything else imports pyvips.

    Its warnings are dropped at their source. A file can cause millions of them, and logging one in Python
    takes longer than decoding an empty chunk; relevant problems of a file are errors.

    Args:
        threads: threads of each operation.
    """
    # Read while libvips is loaded: libvips then installs a handler that does nothing.
    os.environ["VIPS_WARNING"] = "0"
    import pyvips  # noqa: PLC0415 - after VIPS_WARNING is set

    # pyvips puts its own handler before it, which logs each line.
    pyvips._remove_log_handler()  # noqa: SLF001 - pyvips has no public way; it calls this at exit
    pyvips.cache_set_max(0)  # no picture comes twice
    pyvips.concurrency_set(threads)
    admit_only_accepted_loaders()


@cache
def admit_only_accepted_loaders() -> None:
    """Blocks all loaders of this process except those of the accepted formats.

    So a file cannot reach a loader that runs programs or fetches references (SVG, PDF, ImageMagick).
    """
    import pyvips  # noqa: PLC0415 - loaded by the caller first

    pyvips.block_untrusted_set(True)  # noqa: FBT003 - libvips' signature has no keyword
    pyvips.operation_block_set("VipsForeignLoad", True)  # noqa: FBT003 - no keyword
    for accepted in ACCEPTED_FORMATS.values():
        if accepted.libvips_loader is None:
            continue
        pyvips.operation_block_set(accepted.libvips_loader, False)  # noqa: FBT003 - no keyword
