"""Files by the hash of their content, in a folder or in an S3 bucket."""

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

from waybill_worker.errors import UnreachableError
from waybill_worker.observe.spans import SpanKind
from waybill_worker.observe.tracing import span
from waybill_worker.storage.s3 import S3Options, open_bucket

if TYPE_CHECKING:
    # They are there for type checkers alone.
    from obstore import Attributes, BytesStream

#: Part of a streamed upload; S3 takes none smaller but the last. With the next it bounds an upload's memory.
UPLOAD_CHUNK_BYTES = 5 * 1024 * 1024
#: One is sent while the next is read.
UPLOAD_CHUNKS_IN_FLIGHT = 2
#: What a reader of `stream` holds at a time; small enough for many slow downloads at once.
DOWNLOAD_CHUNK_BYTES = 256 * 1024
#: S3 keeps these with a file, for whoever gets it from there. What is under a key never changes.
_CACHE_CONTROL: Final = "private, max-age=31536000, immutable"
#: An address, as the client's errors tell it.
_ADDRESS = re.compile(r"https?://\S+")
#: A key is such parts with single slashes between: nothing that a file system or a URL reads otherwise.
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"(\.[a-z0-9]{1,8})?")


class ObjectMissing(LookupError):  # noqa: N818 - it is a state of the store, and `except ObjectMissing` reads as one
    """There is nothing under this key."""


class StoreUnavailable(UnreachableError):  # noqa: N818 - named like its siblings
    """The store cannot be reached, or does not do what it is asked. Its text names no address."""


class StoreMisconfigured(StoreUnavailable):
    """It is there, but refuses what we are, or has no such bucket: people have to put that right."""


class ObjectTooLarge(ValueError):  # noqa: N818 - named like its sibling
    """There is something under this key, and more of it than the caller takes."""


class ObjectStore:
    """A content-addressed store: what is under a key never changes, so writing it again has no effect.

    A reader sees all of a file or none: it is written aside and linked or renamed into place (folder) or
    completed at the end (S3). When a write returns, the file outlives a power cut.

    Every call raises StoreUnavailable where the store is away, refuses us, or has no such bucket.
    """

    def __init__(self, backend: Backend, public: S3Store | None = None) -> None:
        self._backend = backend
        # What signs addresses for callers.
        self._public = public or (backend if isinstance(backend, S3Store) else None)

    @classmethod
    def from_url(cls, url: str, s3: S3Options | None = None) -> Self:
        """Opens a store; only a folder is touched, it is made if it is not there.

        Args:
            url: `file:///absolute/folder`, `s3://bucket/prefix` or `memory:///` (gone with the process).
            s3: how a bucket is reached; what it leaves open comes from AWS' environment variables, read here.

        Raises:
            ValueError: no such kind of store, or no absolute path.
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
        """Stores bytes unless they are there already.

        Args:
            data: what to store.
            prefix: the first part of the key.
            suffix: the end of the key, such as `.jpg`, for people and for web servers.
            content_type: what it is for whoever gets it by a signed address; a folder keeps no such thing.

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
        # Also when it was there: its writer may be between linking and syncing.
        await self._make_durable(key)
        return key

    async def put_file(self, file: BinaryIO, sha256: str, *, prefix: str, suffix: str = "") -> str:
        """Stores the rest of an open file unless it is there already, in bounded memory (about 15 MB).

        Args:
            file: open for reading, at the first byte to store.
            sha256: the hash of what is to be read, 64 hex digits. It is believed: hash while receiving.
            prefix: the first part of the key.
            suffix: the end of the key.

        Returns:
            The key, as `put` would.

        Raises:
            ValueError: the hash, prefix or suffix cannot be part of a key.
        """
        key = content_key(sha256, prefix=prefix, suffix=suffix)
        if not await self.exists(key):
            # Parts cannot be "create": a race of two writers ends in a rename over the same content.
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
            max_bytes: refuse a larger one before reading it.

        Raises:
            ObjectMissing: nothing is there.
            ObjectTooLarge: it has more than `max_bytes`.
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
            Its size in bytes and its chunks, each of which may raise ObjectMissing or StoreUnavailable.

        Raises:
            ObjectMissing: nothing is there.
            ValueError: not a key.
        """
        check_key(key)
        with _asking("get", key):
            result = await obstore.get_async(self._backend, key)
        return result.meta["size"], _parts(result.stream(min_chunk_size=DOWNLOAD_CHUNK_BYTES), key)

    async def exists(self, key: str) -> bool:
        """Whether there is something under this key. Raises ValueError for what is no key."""
        check_key(key)
        with _asking("head"):
            try:
                await obstore.head_async(self._backend, key)
            except FileNotFoundError:
                return False
        return True

    async def require(self, key: str) -> None:
        """Makes sure that there is something under this key.

        Raises:
            ObjectMissing: nothing is there, and the bucket is.
            ValueError: not a key.
        """
        if not await self.exists(key):
            # A HEAD's answer has no body: only a GET's tells a file that is missing from a bucket that is.
            with _asking("get", key):
                await obstore.get_async(self._backend, key)

    async def signed_url(self, key: str, expires_in: timedelta) -> str | None:
        """An address at which whoever knows it can get the file for a while, straight from the store.

        Content type and disposition are those that were stored; nothing in the address can change them.

        Returns:
            The address; None: this store has none to give.

        Raises:
            ValueError: not a key.
        """
        check_key(key)
        if self._public is None:
            return None
        with _asking("sign", key):
            return await obstore.sign_async(self._public, "GET", key, expires_in)

    async def delete(self, key: str) -> None:
        """Removes a file. Stores differ in whether they notice that there was none, so nobody is told.

        Raises:
            ValueError: not a key.
        """
        check_key(key)
        with suppress(ObjectMissing), _asking("delete", key):
            await obstore.delete_async(self._backend, key)

    async def delete_under(self, prefix: str) -> None:
        """Removes all files whose keys begin with `prefix/`; nobody may be writing there.

        Raises:
            ValueError: not the beginning of a key.
        """
        check_key(prefix)
        if isinstance(self._backend, LocalStore):
            # The folders go, too: in a bucket there are none.
            with _asking("clear"), _in_folder():
                await asyncio.to_thread(_remove_folder, _root(self._backend) / prefix)
            return
        with _asking("clear"):
            async for found in obstore.list(self._backend, prefix):
                await obstore.delete_async(self._backend, [each["path"] for each in found])

    async def _make_durable(self, key: str) -> None:
        # obstore 0.12 never syncs a folder's files (seen with strace): after a power cut the name could stand
        # for half a file, and being there already it would never be written again.
        if isinstance(self._backend, LocalStore):
            with _in_folder():
                await asyncio.to_thread(_sync_file_and_folders, _root(self._backend), key)


def _root(backend: LocalStore) -> Path:
    if backend.prefix is None:
        raise ValueError("a folder's store needs a folder")
    return Path(backend.prefix)


def _remove_folder(folder: Path) -> None:
    """With all that is in it; it may be gone, by somebody else's hand in this very moment."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        if folder.exists():
            _remove_folder(folder)


def content_key(sha256: str, *, prefix: str, suffix: str = "") -> str:
    """The key under which content with this hash lies.

    Raises:
        ValueError: a part of it would not make a key.
    """
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a SHA-256 in lower-case hex: {sha256!r}")
    if not _SUFFIX.fullmatch(suffix):
        raise ValueError(f"not a file name's suffix: {suffix!r}")
    key = f"{prefix}/{sha256[:2]}/{sha256}{suffix}"
    check_key(key)
    return key


def check_key(key: str) -> None:
    """Raises ValueError unless it is a key: relative, no empty, `.` or `..` parts, nothing to be quoted."""
    if not all(_PART.fullmatch(part) for part in key.split("/")):
        raise ValueError(f"not an object's key: {key!r}")


async def _parts(chunks: "BytesStream", key: str) -> AsyncIterator[bytes]:
    with _in_our_words(key):
        async for chunk in chunks:
            yield bytes(chunk)


@contextmanager
def _asking(what: str, key: str | None = None) -> Iterator[None]:
    """A request to the store, as `_in_our_words`."""
    with _in_our_words(key), span(f"{what} object", SpanKind.CLIENT):
        yield


@contextmanager
def _in_our_words(key: str | None) -> Iterator[None]:
    """Makes what the client raises into what our callers know. Without a key nothing may be missing."""
    try:
        yield
    except FileNotFoundError as error:
        # A wrong bucket must not look as if every file were gone: that would be for good.
        if key is None or "NoSuchBucket" in str(error):
            raise StoreMisconfigured("The object store has no such bucket or folder.") from error
        raise ObjectMissing(key) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreMisconfigured("The object store refuses what we are, or what we ask for.") from error
    except StoreError as error:
        what = _ADDRESS.sub("…", str(error).splitlines()[0])
        raise StoreUnavailable(f"The object store fails: {what}") from error


@contextmanager
def _in_folder() -> Iterator[None]:
    """The same for what is done to a folder beside the client."""
    try:
        yield
    except OSError as error:
        # All of its text would name the path.
        raise StoreUnavailable(f"The object store fails: {error.strerror or type(error).__name__}") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sync_file_and_folders(root: Path, key: str) -> None:
    """The file's content, then each folder's entry for what is below it."""
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
