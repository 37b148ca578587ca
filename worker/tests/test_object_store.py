import asyncio
import errno
import hashlib
import io
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from waybill_testkit.bucket import Bucket
from waybill_worker.object_store.store import DOWNLOAD_CHUNK_BYTES, ObjectStore
from waybill_worker.storage import ObjectMissing, ObjectTooLarge, StoreUnavailable


@pytest.fixture(params=["file", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    match request.param:
        case "s3":
            bucket: Bucket = request.getfixturevalue("bucket")
            return bucket.store()
        case "memory":
            return ObjectStore.from_url("memory:///")
        case _:
            return ObjectStore.from_url(f"file://{tmp_path}/made/here")


async def test_a_key_is_made_of_the_content(store: ObjectStore) -> None:
    key = await store.put(b"abc", prefix="things", suffix=".txt")

    # FIPS 180-2, appendix B.1
    assert key == "things/ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.txt"
    assert await store.get(key) == b"abc"


async def test_writing_the_same_again_returns_the_same_key(store: ObjectStore) -> None:
    keys = {await store.put(b"once", prefix="things") for _ in range(3)}

    assert len(keys) == 1


async def test_many_writers_of_the_same_content_at_once(store: ObjectStore) -> None:
    data = os.urandom(300_000)
    files = [store.put_file(io.BytesIO(data), hashlib.sha256(data).hexdigest(), prefix="x") for _ in range(4)]
    keys = await asyncio.gather(*[store.put(data, prefix="x") for _ in range(4)], *files)

    assert len(set(keys)) == 1
    assert await store.get(keys[0]) == data


async def test_a_file_larger_than_a_part_goes_in_and_comes_out_in_chunks(
    store: ObjectStore, tmp_path: Path
) -> None:
    data = os.urandom(1024) * (11 * 1024)
    path = tmp_path / "large"
    path.write_bytes(data)
    with path.open("rb") as file:
        key = await store.put_file(file, hashlib.sha256(data).hexdigest(), prefix="large", suffix=".bin")
    size, chunks = await store.stream(key)
    received = [chunk async for chunk in chunks]

    assert key == await store.put(data, prefix="large", suffix=".bin")
    assert size == len(data)
    assert b"".join(received) == data


async def test_a_folder_is_read_a_little_at_a_time(tmp_path: Path) -> None:
    store = ObjectStore.from_url(f"file://{tmp_path}")
    _, chunks = await store.stream(await store.put(bytes(3_000_000), prefix="large"))

    assert max([len(chunk) async for chunk in chunks]) <= 2 * DOWNLOAD_CHUNK_BYTES


async def test_an_empty_file(store: ObjectStore) -> None:
    key = await store.put_file(io.BytesIO(), hashlib.sha256(b"").hexdigest(), prefix="empty")

    assert await store.get(key) == b""


async def test_absent_keys(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing, match="things/nowhere"):
        await store.get("things/nowhere")
    with pytest.raises(ObjectMissing, match="things/nowhere"):
        await store.stream("things/nowhere")
    assert not await store.exists("things/nowhere")
    await store.delete("things/nowhere")


async def test_deleted_is_absent(store: ObjectStore) -> None:
    key = await store.put(b"short-lived", prefix="things")
    assert await store.exists(key)

    await store.delete(key)

    assert not await store.exists(key)
    with pytest.raises(ObjectMissing):
        await store.get(key)


async def test_what_is_under_a_prefix_goes_and_its_neighbours_stay(store: ObjectStore) -> None:
    below = [await store.put(data, prefix="things/one") for data in (b"1", b"2")]
    beside = await store.put(b"1", prefix="things/one-more")

    await store.delete_under("things/one")
    await store.delete_under("things/one")

    assert [await store.exists(key) for key in below] == [False, False]
    assert await store.exists(beside)


async def test_a_limit_is_kept_before_reading(store: ObjectStore) -> None:
    key = await store.put(b"12345", prefix="things")

    assert await store.get(key, max_bytes=5) == b"12345"
    with pytest.raises(ObjectTooLarge, match="5 bytes, more than 4"):
        await store.get(key, max_bytes=4)


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../secret", "a/../../b", "a//b", "a/./b", "a/", "a\\b", "a/b\n", "é", "a%2e"]
)
async def test_what_is_no_key_is_refused_by_every_call(store: ObjectStore, key: str) -> None:
    calls: list[Callable[[str], Awaitable[object]]] = [
        store.get,
        store.stream,
        store.exists,
        store.delete,
        store.delete_under,
    ]
    for call in calls:
        with pytest.raises(ValueError, match="not an object's key"):
            await call(key)


@pytest.mark.parametrize(
    ("prefix", "suffix"), [("..", ""), ("/abs", ""), ("", ""), ("ok", "/x"), ("ok", "..")]
)
async def test_no_way_out_through_prefix_or_suffix(store: ObjectStore, prefix: str, suffix: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        await store.put(b"x", prefix=prefix, suffix=suffix)


async def test_a_false_hash_is_refused(store: ObjectStore) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        await store.put_file(io.BytesIO(b"x"), "../../etc", prefix="things")


async def test_a_source_that_breaks_leaves_nothing_to_be_seen(store: ObjectStore) -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            if self.tell() > 8_000_000:
                raise OSError("the disk went away")
            return data

    data = bytes(12_000_000)
    digest = hashlib.sha256(data).hexdigest()
    with pytest.raises(Exception, match="the disk went away"):
        await store.put_file(Breaking(data), digest, prefix="things")

    assert not await store.exists(f"things/{digest[:2]}/{digest}")
    await store.put_file(io.BytesIO(data), digest, prefix="things")
    assert await store.get(f"things/{digest[:2]}/{digest}") == data


async def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    store = ObjectStore.from_url(f"file://{tmp_path}/store")
    data = os.urandom(1024) * 8192
    digest = hashlib.sha256(data).hexdigest()
    path = tmp_path / "store" / "things" / digest[:2] / digest
    writing = asyncio.ensure_future(store.put_file(io.BytesIO(data), digest, prefix="things"))
    sizes = set()
    while not writing.done():
        if path.exists():
            sizes.add(path.stat().st_size)
        await asyncio.sleep(0)
    sizes.add(path.stat().st_size)
    await writing

    assert sizes == {len(data)}


async def test_folders_files_and_their_names_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    really_sync = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        really_sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store = ObjectStore.from_url(f"file://{tmp_path}/store")
    key = await store.put(b"to last", prefix="things")

    path = tmp_path / "store" / key
    assert synced == [path, path.parent, path.parent.parent, tmp_path / "store"]


async def test_a_folder_that_refuses_is_a_store_that_is_away(tmp_path: Path) -> None:
    store = ObjectStore.from_url(f"file://{tmp_path}/store")
    (tmp_path / "store" / "things").write_bytes(b"where a folder should be")

    with pytest.raises(StoreUnavailable, match="The object store fails: Not a directory") as refused:
        await store.delete_under("things")
    assert str(tmp_path) not in str(refused.value)


async def test_a_file_that_cannot_be_made_durable_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = ObjectStore.from_url(f"file://{tmp_path}/store")
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StoreUnavailable, match="No space left"):
        await store.put(b"1", prefix="things")


@pytest.mark.parametrize("url", ["ftp://host/x", "/tmp/x", "", "file://elsewhere/x"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no object store at"):
        ObjectStore.from_url(url)
