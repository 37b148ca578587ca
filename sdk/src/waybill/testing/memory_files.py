"""The files of an attempt in memory."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from waybill_contracts.files import FileName, FileRef, ResultFile, results_of
from waybill_worker.errors import PermanentError
from waybill_worker.files import AttemptFiles


class MemoryFiles(AttemptFiles):
    """Reads what a test gives, and keeps what a handler writes.

    Args:
        task_id: of the task.
        given: key to content.
    """

    def __init__(self, task_id: str, given: Mapping[str, bytes]) -> None:
        super().__init__(None, task_id)
        self._prefix = results_of(task_id)
        self._given = given
        #: Name to content.
        self.written: dict[str, bytes] = {}

    async def read(self, file: FileRef | str, *, max_bytes: int = 2**26) -> bytes:
        """The content of a file that the test gave."""
        key = file if isinstance(file, str) else file.key
        if key not in self._given:
            raise PermanentError(f"The file {key} is no longer in the object store; upload it again.")
        content = self._given[key]
        if len(content) > max_bytes:
            raise PermanentError(f"The file {key} is larger than it may be: {len(content):,} bytes.")
        return content

    async def write(
        self, name: str, content: bytes | Path, *, content_type: str = "application/octet-stream"
    ) -> ResultFile:
        """Keeps a file, which becomes part of the result."""
        TypeAdapter(FileName).validate_python(name)
        data = content.read_bytes() if isinstance(content, Path) else content  # noqa: ASYNC240 - in a test
        sha256 = hashlib.sha256(data).hexdigest()
        key = f"{self._prefix}/{sha256[:2]}/{sha256}"
        written = ResultFile(key=key, sha256=sha256, size_bytes=len(data), content_type=content_type)
        self.has_begun = True
        self.written[name] = data
        self._written[name] = written
        return written

    async def _copy(self, file: FileRef | str, path: Path) -> None:
        path.write_bytes(await self.read(file, max_bytes=sys.maxsize))  # noqa: ASYNC240 - in a test
