"""The object store: files by the hash of their content, in a folder or in an S3 bucket."""

import asyncio
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, PermissionDeniedError, UnauthenticatedError
from obstore.exceptions import BaseError as StoreError
from obstore.store import LocalStore, S3Store, from_url
from obstore.store import ObjectStore as Backend

from waybill_worker.object_store.bucket import open_bucket
from waybill_worker.observe import SpanKind, span
from waybill_worker.storage import (
    ObjectMissing,
    ObjectTooLarge,
    S3Options,
    StoreMisconfigured,
    StoreUnavailable,
    check_key,
    content_key,
)

if TYPE_CHECKING:
    # They are there for type checkers alone.
    from obstore import Attributes, BytesStream

#: Bytes of a part of a streamed upload, at least what S3 requires. Both constants bound an upload's memory.
UPLOAD_CHUNK_BYTES = 5 * 1024 * 1024
#: Parts at once: one is sent while the next is read.
UPLOAD_CHUNKS_IN_FLIGHT = 2
#: Bytes that a reader of `stream` holds at a time; small enough for many slow downloads at once.
DOWNLOAD_CHUNK_BYTES = 256 * 1024
#: S3 keeps this header with a file, for downloads from there. The content of a key never changes.
_CACHE_CONTROL: Final = "private, max-age=31536000, immutable"
#: An address in the client's errors.
_ADDRESS = re.compile(r"https?://\S+")


class ObjectStore:
    """A content-addressed store: the content of a key never changes, so writing it again has no effect.

    A reader sees all of a file or none: it is written aside and linked or renamed into place (folder) or
    completed at the end (S3). When a write returns, the file survives a power cut.

    Every call raises StoreUnavailable if the store is away, refuses us, or has no such bucket.
    """

    def __init__(self, backend: Backend, public: S3Store | None = None) -> None:
        self._backend = backend
        # Signs addresses for callers.
        self._public = public or (backend if isinstance(backend, S3Store) else None)

    @classmethod
    def from_url(cls, url: str, s3: S3Options | None = None) -> Self:
        """Opens a store; nothing is sent, but a missing folder is made.

        Args:
            url: `file:///absolute/folder`, `s3://bucket/prefix` or `memory:///` (it ends with the process).
            s3: how a bucket is reached; None in it means AWS' environment variables, which are read here.

        Raises:
            ValueError: an unknown kind of store, or a relative path.
            OSError: the folder cannot be made.
        """
        scheme = urlsplit(url).scheme
        if scheme not in {"file", "s3", "memory"}:
            raise ValueError(
                f"no object store at {url!r}: give file:///folder, s3://bucket/prefix or memory:///"
            )
        try:
            if scheme == "s3":
                options = s3 or S3Options()
                public = options.public()
                return cls(open_bucket(url, options), None if public is None else open_bucket(url, public))
            return cls(from_url(url, mkdir=True) if scheme == "file" else from_url(url))
        except StoreError as error:
            raise ValueError(f"no object store at {url!r}: {str(error).splitlines()[0]}") from error

    async def put(
        self, data: bytes, *, prefix: str, suffix: str = "", content_type: str | None = None
    ) -> str:
        """Stores bytes unless they are stored already.

        Args:
            data: the content.
            prefix: the first part of the key.
            suffix: the end of the key, such as `.jpg`, for people and for web servers.
            content_type: content type for downloads by a signed address; a folder does not keep it.

        Returns:
            The key, `<prefix>/<first two hex digits>/<sha256 in hex><suffix>`.

        Raises:
            ValueError: the prefix or suffix cannot be part of a key.
        """
        digest = await asyncio.to_thread(_sha256, data)
        key = content_key(digest, prefix=prefix, suffix=suffix)
        attributes: Attributes = {}
        if content_type is not None and isinstance(self._backend, S3Store):
            attributes = {
                "Content-Type": content_type,
                "Content-Disposition": "inline",
                "Cache-Control": _CACHE_CONTROL,
            }
        with _asking("put"), suppress(AlreadyExistsError):
            await obstore.put_async(
                self._backend, key, data, mode="create", use_multipart=False, attributes=attributes
            )
        # Also if it was there: its writer may be between linking and syncing.
        await self._make_durable(key)
        return key

    async def put_file(self, file: BinaryIO, sha256: str, *, prefix: str, suffix: str = "") -> str:
        """Stores the rest of an open file unless it is stored already, in bounded memory (about 15 MB).

        Args:
            file: open for reading, at the first byte to store.
            sha256: the hash of the content, 64 hex digits. It is not checked: hash while receiving.
            prefix: the first part of the key.
            suffix: the end of the key.

        Returns:
            The key, as from `put`.

        Raises:
            ValueError: the hash, prefix or suffix cannot be part of a key.
        """
        key = content_key(sha256, prefix=prefix, suffix=suffix)
        if not await self.exists(key):
            # Parts have no mode "create": two writers at once end in a rename over equal content.
            with _asking("put"):
                await obstore.put_async(
                    self._backend,
                    key,
                    file,
                    chunk_size=UPLOAD_CHUNK_BYTES,
                    max_concurrency=UPLOAD_CHUNKS_IN_FLIGHT,
                )
        await self._make_durable(key)
        return key

    async def get(self, key: str, *, max_bytes: int | None = None) -> bytes:
        """Reads a whole file into memory.

        Args:
            key: as returned by a put.
            max_bytes: a larger file is refused before it is read.

        Raises:
            ObjectMissing: there is no such file.
            ObjectTooLarge: the file has more than `max_bytes`.
            ValueError: not a key.
        """
        check_key(key)
        with _asking("get", key):
            result = await obstore.get_async(self._backend, key)
            size = result.meta["size"]
            if max_bytes is not None and size > max_bytes:
                raise ObjectTooLarge(f"{key} has {size} bytes, more than {max_bytes}")
            return bytes(await result.bytes_async())

    async def stream(self, key: str) -> tuple[int, AsyncIterator[bytes]]:
        """Opens a file for reading in chunks of about `DOWNLOAD_CHUNK_BYTES`.

        Args:
            key: as returned by a put.

        Returns:
            Its size in bytes, and its chunks; reading one may raise ObjectMissing or StoreUnavailable.

        Raises:
            ObjectMissing: there is no such file.
            ValueError: not a key.
        """
        check_key(key)
        with _asking("get", key):
            result = await obstore.get_async(self._backend, key)
        return result.meta["size"], _parts(result.stream(min_chunk_size=DOWNLOAD_CHUNK_BYTES), key)

    async def exists(self, key: str) -> bool:
        """Whether there is a file under this key. Raises ValueError for a malformed key."""
        check_key(key)
        with _asking("head"):
            try:
                await obstore.head_async(self._backend, key)
            except FileNotFoundError:
                return False
        return True

    async def require(self, key: str) -> None:
        """Checks that there is a file under this key.

        Raises:
            ObjectMissing: there is none, but the bucket exists.
            ValueError: not a key.
        """
        if not await self.exists(key):
            # A HEAD's answer has no body: only a GET's distinguishes a missing file from a missing bucket.
            with _asking("get", key):
                await obstore.get_async(self._backend, key)

    async def signed_url(self, key: str, expires_in: timedelta) -> str | None:
        """A signed address, from which a caller can get the file directly from the store for a while.

        Content type and disposition are those that were stored; nothing in the address can change them.

        Returns:
            The address; None: this store has no signed addresses.

        Raises:
            ValueError: not a key.
        """
        check_key(key)
        if self._public is None:
            return None
        with _asking("sign", key):
            return await obstore.sign_async(self._public, "GET", key, expires_in)

    async def delete(self, key: str) -> None:
        """Removes a file. Not all stores notice a missing file, so none is reported.

        Raises:
            ValueError: not a key.
        """
        check_key(key)
        with suppress(ObjectMissing), _asking("delete", key):
            await obstore.delete_async(self._backend, key)

    async def delete_under(self, prefix: str) -> None:
        """Removes all files whose keys begin with `prefix/`; nothing may write there meanwhile.

        Raises:
            ValueError: not the beginning of a key.
        """
        check_key(prefix)
        if isinstance(self._backend, LocalStore):
            # The folders too, which a bucket does not have.
            with _asking("clear"), _in_folder():
                await asyncio.to_thread(_remove_folder, _root(self._backend) / prefix)
            return
        with _asking("clear"):
            async for found in obstore.list(self._backend, prefix):
                await obstore.delete_async(self._backend, [each["path"] for each in found])

    async def _make_durable(self, key: str) -> None:
        # obstore 0.12 never syncs a folder's files (seen with strace): after a power cut a name could have
        # half a file, which would never be written again because its name exists.
        if isinstance(self._backend, LocalStore):
            with _in_folder():
                await asyncio.to_thread(_sync_file_and_folders, _root(self._backend), key)


def _root(backend: LocalStore) -> Path:
    if backend.prefix is None:
        raise ValueError("the store of a folder needs a folder")
    return Path(backend.prefix)


def _remove_folder(folder: Path) -> None:
    """Remove a folder with its content; another process may remove it at the same time."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        if folder.exists():
            _remove_folder(folder)


async def _parts(chunks: "BytesStream", key: str) -> AsyncIterator[bytes]:
    with _translated(key):
        async for chunk in chunks:
            yield bytes(chunk)


@contextmanager
def _asking(what: str, key: str | None = None) -> Iterator[None]:
    """A request to the store, with its errors translated, in a span."""
    with _translated(key), span(f"{what} object", SpanKind.CLIENT):
        yield


@contextmanager
def _translated(key: str | None) -> Iterator[None]:
    """Turn the client's errors into ours. Without a key, a missing file means a missing bucket or folder."""
    try:
        yield
    except FileNotFoundError as error:
        # A wrong bucket must not look like missing files, for which tasks are given up.
        if key is None or "NoSuchBucket" in str(error):
            raise StoreMisconfigured("The object store has no such bucket or folder.") from error
        raise ObjectMissing(key) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreMisconfigured("The object store refuses our credentials, or the request.") from error
    except StoreError as error:
        what = _ADDRESS.sub("…", str(error).splitlines()[0])
        raise StoreUnavailable(f"The object store fails: {what}") from error


@contextmanager
def _in_folder() -> Iterator[None]:
    """Turn errors of our own work on a folder into ours."""
    try:
        yield
    except OSError as error:
        # The whole text would name the path.
        raise StoreUnavailable(f"The object store fails: {error.strerror or type(error).__name__}") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sync_file_and_folders(root: Path, key: str) -> None:
    """Sync the file's content, then each folder's entry for what is in it."""
    path = root / key
    while True:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path == root:
            return
        path = path.parent
