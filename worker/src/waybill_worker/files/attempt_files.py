"""The files of an attempt, as its handler reads and writes them."""

import asyncio
import hashlib
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from pydantic import TypeAdapter

from waybill_contracts.files import (
    MAX_RESULT_FILES,
    RESULT_FILES,
    ContentType,
    FileName,
    FileRef,
    ResultFile,
    results_of,
)
from waybill_contracts.privacy import NO_MASK, Mask
from waybill_worker.errors import PermanentError, SnoozeError
from waybill_worker.observe import get_logger
from waybill_worker.storage import ObjectMissing, ObjectTooLarge

if TYPE_CHECKING:
    # Entered only where there are files.
    from waybill_worker.object_store import ObjectStore

log = get_logger(__name__)

#: Default of the bytes that `read` takes into memory.
MAX_READ_BYTES: Final = 64 * 1024 * 1024
_PIECE_BYTES: Final = 256 * 1024
#: Keys of uploads, and of originals of pictures that releases before this one stored.
_UPLOAD: Final = re.compile(r"(files|originals)/\S+")
_NAME: Final[TypeAdapter[str]] = TypeAdapter(FileName)
_CONTENT_TYPE: Final[TypeAdapter[str]] = TypeAdapter(ContentType)


class NoObjectStoreError(SnoozeError):
    """The service has no object store, though a handler of it works with files: its settings are wrong."""

    def __init__(self) -> None:
        super().__init__("this service has no object store: set WAYBILL_OBJECT_STORE_URL")


class AttemptFiles:
    """Reads the files that a task refers to, and writes files into its result.

        document = await attempt.files.read(event.document)
        await attempt.files.write("invoice.pdf", pdf, content_type="application/pdf")

    Args:
        store: where files are; None: nowhere, and each call raises NoObjectStoreError.
        task_id: the task that the files belong to.
        mask: what must not be in names.
    """

    def __init__(self, store: "ObjectStore | None" = None, task_id: str = "", mask: Mask = NO_MASK) -> None:
        self._store = store
        self._task_id = task_id
        self._mask = mask
        self._written: dict[str, ResultFile] = {}
        self._copies: tempfile.TemporaryDirectory[str] | None = None
        self._has_ended = False
        #: Whether a file may have been stored.
        self.has_begun = False

    async def read(self, file: FileRef | str, *, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """The content of a file of the task.

        Args:
            file: the reference, or its key.
            max_bytes: a larger file is not read.

        Raises:
            PermanentError: there is no such file (any more), or it is too large.
            StoreUnavailable: the object store is away, or refuses us; the attempt is put off.
            NoObjectStoreError: the service has none.
        """
        store, key = self._there(), _key_of(file)
        with _translated(key):
            return await store.get(key, max_bytes=max_bytes)

    @asynccontextmanager
    async def open(self, file: FileRef | str) -> AsyncIterator[Path]:
        """Copies a file of the task, of any size, to a temporary path; it is deleted at the end of the block.

        Raises:
            PermanentError: there is no such file (any more).
            StoreUnavailable: the object store is away, or refuses us; the attempt is put off.
            NoObjectStoreError: the service has none.
        """
        with tempfile.TemporaryDirectory(prefix="waybill-") as folder:
            path = Path(folder) / "file"
            await self._copy(file, path)
            yield path

    async def copied(self, file: FileRef | str) -> Path:
        """Copies a file of the task to a temporary path for a handler that may be killed in its own process.

        The copy is there until `remove_copies`.

        Raises:
            PermanentError, StoreUnavailable, NoObjectStoreError: as for `open`.
            RuntimeError: the attempt has ended.
        """
        if self._has_ended:
            raise RuntimeError("the attempt has ended: nobody would remove the copy")
        if self._copies is None:
            self._copies = tempfile.TemporaryDirectory(prefix="waybill-")
        path = Path(tempfile.mkdtemp(dir=self._copies.name)) / "file"
        await self._copy(file, path)
        return path

    def remove_copies(self) -> None:
        """Removes what `copied` has made; to be called when the attempt has ended, however it has."""
        self._has_ended = True
        if self._copies is not None:
            self._copies.cleanup()

    async def write(
        self, name: str, content: bytes | Path, *, content_type: str = "application/octet-stream"
    ) -> ResultFile:
        """Stores a file; it becomes part of the result if this attempt completes.

        A repeat of the attempt that writes an equal file stores it once. The same name again replaces the
        file in the result.

        Args:
            name: letters, digits, `.`, `_` and `-`, at most 128; unique in the service's part of the task.
            content: the bytes, or the path of a file.
            content_type: media type, such as `application/pdf`.

        Raises:
            ValueError: the name or type is malformed, the name shows what is sensitive, or there are more
                than 100 files.
            StoreUnavailable: the object store is away, or refuses us; the attempt is put off.
            NoObjectStoreError: the service has none.
        """
        store = self._there()
        _NAME.validate_python(name)
        _CONTENT_TYPE.validate_python(content_type)
        if self._mask.text(name) != name:
            raise ValueError("the name of a file must not repeat a sensitive field of the event")
        if len(self._written.keys() | {name}) > MAX_RESULT_FILES:
            raise ValueError(f"an attempt writes at most {MAX_RESULT_FILES} files")
        self.has_begun = True
        prefix = results_of(self._task_id)
        if isinstance(content, Path):
            with content.open("rb") as file:
                sha256, size = await asyncio.to_thread(_hashed, file)
                file.seek(0)
                key = await store.put_file(file, sha256, prefix=prefix)
        else:
            key, size = await store.put(content, prefix=prefix, content_type=content_type), len(content)
            sha256 = key.rpartition("/")[2]
        written = ResultFile(key=key, sha256=sha256, size_bytes=size, content_type=content_type)
        self._written[name] = written
        return written

    def in_result(self, result: dict[str, Any]) -> dict[str, Any]:
        """The result with the files that were written."""
        if not self._written:
            return result
        if RESULT_FILES in result:
            log.error("the handler's own value in its result was replaced by its files", field=RESULT_FILES)
        files = {name: file.model_dump(mode="json") for name, file in self._written.items()}
        return result | {RESULT_FILES: files}

    async def _copy(self, file: FileRef | str, path: Path) -> None:
        store, key = self._there(), _key_of(file)
        with _translated(key), path.open("wb") as copy:
            _, chunks = await store.stream(key)
            async for chunk in chunks:
                await asyncio.to_thread(copy.write, chunk)

    def _there(self) -> "ObjectStore":
        if self._store is None:
            raise NoObjectStoreError
        return self._store


def _key_of(file: FileRef | str) -> str:
    key = file if isinstance(file, str) else file.key
    if not _UPLOAD.fullmatch(key):
        raise PermanentError(f"The event has no valid key of a file: {key!r}.")
    return key


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except ObjectMissing as error:
        raise PermanentError(f"The file {key} is no longer in the object store; upload it again.") from error
    except ObjectTooLarge as error:
        raise PermanentError(f"The file {key} is larger than it may be: {error}.") from error
    except ValueError as error:
        raise PermanentError(f"The event has no valid key of a file: {error}.") from error


def _hashed(file: BinaryIO) -> tuple[str, int]:
    """Hash and size of the rest of a file."""
    digest, size = hashlib.sha256(), 0
    read: Callable[[], bytes] = partial(file.read, _PIECE_BYTES)
    for piece in iter(read, b""):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size
