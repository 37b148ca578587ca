import gc
import os
from pathlib import Path

import pytest

from waybill_worker.runtime.memory import freeze_startup, trim_heap

MEBIBYTE = 1 << 20


def resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_what_the_start_has_made_is_set_apart_from_the_garbage() -> None:
    before, threshold = gc.get_freeze_count(), gc.get_threshold()
    gc.disable()  # as a process does while it imports
    made = [[number] for number in range(1000)]
    try:
        freeze_startup()
        assert gc.get_freeze_count() >= before + len(made)
        assert gc.isenabled()
        assert gc.get_threshold()[0] > threshold[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
        gc.enable()


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="only glibc keeps what is freed")
def test_what_only_the_start_needed_goes_back_to_the_system() -> None:
    needed = [bytes(2000) for _ in range(50 * MEBIBYTE // 2000)]
    at_the_end = needed[-1]  # below it the C library gives nothing back by itself
    del needed
    kept = resident()

    trim_heap()

    assert resident() < kept - 25 * MEBIBYTE
    assert len(at_the_end) == 2000
