"""An empty ledger in SQLite, to copy: the migrations take longer than most tests."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from waybill_ledger.migrations import upgrade


def put_empty_ledger(file: Path) -> str:
    """Writes an empty ledger to `file`; its URL."""
    file.write_bytes(empty_ledger())
    return f"sqlite:///{file}"


@cache
def empty_ledger() -> bytes:
    """Content of the file of an empty ledger; migrated once in each process."""
    with TemporaryDirectory(prefix="waybill-ledger-") as folder:
        upgrade(f"sqlite:///{folder}/ledger.db")
        return (Path(folder) / "ledger.db").read_bytes()
