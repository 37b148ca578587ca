"""libvips as a worker has it: quiet, without a memory, and closed to all but the accepted formats."""

import os
from functools import cache

from waybill_contracts.images.formats import ACCEPTED_FORMATS


@cache
def load_libvips(threads: int = 1) -> None:
    """Loads libvips into this process; to be called before anything else imports pyvips.

    Its warnings are dropped where they arise. A file can cause millions of them, several for each empty
    chunk, and each takes Python longer than all of its decoding; what matters about a file comes as an error.

    Args:
        threads: of each operation.
    """
    # Read when libvips is loaded: it then has a handler of its own that does nothing.
    os.environ["VIPS_WARNING"] = "0"
    import pyvips  # noqa: PLC0415 - as said

    # In front of which pyvips puts one that logs each line.
    pyvips._remove_log_handler()  # noqa: SLF001 - pyvips has no other way; it is what it does at exit
    pyvips.cache_set_max(0)  # no two pictures are alike
    pyvips.concurrency_set(threads)
    admit_only_accepted_loaders()


@cache
def admit_only_accepted_loaders() -> None:
    """Blocks every loader of this process but those of the accepted formats.

    A file then reaches none of the loaders that run programs or fetch references (SVG, PDF, ImageMagick).
    """
    import pyvips  # noqa: PLC0415 - as above

    pyvips.block_untrusted_set(True)  # noqa: FBT003 - libvips' signature has no keyword
    pyvips.operation_block_set("VipsForeignLoad", True)  # noqa: FBT003 - as above
    for accepted in ACCEPTED_FORMATS.values():
        if accepted.libvips_loader is None:
            continue
        pyvips.operation_block_set(accepted.libvips_loader, False)  # noqa: FBT003 - as above
