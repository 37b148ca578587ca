"""An empty ledger in SQLite, to copy: the migrations take longer than most tests."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from waybill_ledger.migrations import upgrade


@cache
def empty_ledger() -> bytes:
    """Content of the file of an empty ledger; migrated once in each process."""
    with TemporaryDirectory(prefix="waybill-ledger-") as folder:
        upgrade(f"sqlite:///{folder}/ledger.db")
        return (Path(folder) / "ledger.db").read_bytes()
