"""Where the content of a download goes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from waybill.problems import ClientError

#: Where a download goes: an open file, or a path, which has it once it is whole.
Target = BinaryIO | Path


class Sink:
    """An open file that gets the content of an answer.

    Args:
        file: gets it from where it stands.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = file.tell() if file.seekable() else None
        #: Bytes that were written.
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Takes the next part."""
        self._file.write(chunk)
        self.size += len(chunk)

    def restart(self, error: ClientError) -> None:
        """Begins again.

        Raises:
            ClientError: the given one, as a part has gone where it cannot be taken back.
        """
        if self.size == 0:
            return
        if self._start is None:
            raise error
        self._file.seek(self._start)
        self._file.truncate()
        self.size = 0


@contextmanager
def opened(target: Target) -> Iterator[Sink]:
    """A sink for the time of the block; a path has its file only if the block ends well."""
    if not isinstance(target, Path):
        yield Sink(target)
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield Sink(file)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
