import asyncio
import hashlib
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic

import httpx
import pytest
from pydantic import ValidationError

from waybill_testkit.bucket import Bucket
from waybill_testkit.listening import listening
from waybill_worker.errors import UnreachableError
from waybill_worker.object_store.store import ObjectStore
from waybill_worker.storage import ObjectMissing, ObjectStoreSettings, StoreMisconfigured, StoreUnavailable


async def got(address: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(address)


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    hold = asyncio.Event()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hold.wait()
        writer.close()

    async with listening(say_nothing) as port:
        yield f"http://127.0.0.1:{port}"
        hold.set()


@asynccontextmanager
async def breaking_server(*, size: int, sent: int) -> AsyncIterator[str]:
    """A store that hangs up amid each file."""

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f'HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nETag: "a"\r\n'
        writer.write(f"{head}Last-Modified: Tue, 24 Nov 2026 12:00:00 GMT\r\n\r\n".encode())
        writer.write(bytes(sent))
        await writer.drain()
        writer.close()

    async with listening(break_off) as port:
        yield f"http://127.0.0.1:{port}"


async def test_a_reader_of_a_bucket_never_sees_half_a_file(bucket: Bucket) -> None:
    store = bucket.store()
    data = os.urandom(1024) * (16 * 1024)
    digest = hashlib.sha256(data).hexdigest()
    key = f"things/{digest[:2]}/{digest}"
    writing = asyncio.ensure_future(store.put_file(io.BytesIO(data), digest, prefix="things"))
    seen = set()
    while not writing.done():
        if await store.exists(key):
            seen.add(len(await store.get(key)))
    seen.add(len(await store.get(key)))
    assert await writing == key

    assert seen == {len(data)}


async def test_what_is_there_is_not_written_again(bucket: Bucket) -> None:
    store = bucket.store()
    key = await store.put(b"picture", prefix="v", suffix=".jpg", content_type="image/jpeg")
    await store.put(b"picture", prefix="v", suffix=".jpg", content_type="text/html")

    address = await store.signed_url(key, timedelta(seconds=60))

    assert address is not None
    assert (await got(address)).headers["content-type"] == "image/jpeg"


async def test_a_signed_address_gives_the_file_as_what_it_was_stored_as(bucket: Bucket) -> None:
    store = bucket.store()
    key = await store.put(b"picture", prefix="v", suffix=".jpg", content_type="image/jpeg")

    address = await store.signed_url(key, timedelta(seconds=60))

    assert address is not None
    assert address.startswith(f"{bucket.endpoint}/{bucket.name}/some/where/{key}?")
    assert "X-Amz-Expires=60&" in address
    assert "a-secret" not in address
    answer = await got(address)
    assert (answer.status_code, answer.content) == (200, b"picture")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == "inline"
    assert "immutable" in answer.headers["cache-control"]


async def test_a_signed_address_can_begin_with_how_callers_reach_the_store(bucket: Bucket) -> None:
    store = bucket.store(s3_public_endpoint="https://files.example.com")
    key = await store.put(b"picture", prefix="v")

    address = await store.signed_url(key, timedelta(seconds=60))

    assert address is not None
    assert address.startswith(f"https://files.example.com/{bucket.name}/some/where/{key}?")


async def test_a_folder_signs_nothing(tmp_path: Path) -> None:
    store = ObjectStore.from_url(f"file://{tmp_path}")

    assert await store.signed_url(await store.put(b"x", prefix="v"), timedelta(seconds=60)) is None


async def test_a_wrong_bucket_does_not_look_like_missing_files(bucket: Bucket) -> None:
    store = Bucket(bucket.endpoint, "no-such-bucket").store()

    with pytest.raises(StoreUnavailable, match="no such bucket"):
        await store.get("things/aa")
    with pytest.raises(StoreUnavailable, match="no such bucket"):
        await store.put(b"x", prefix="things")


async def test_a_store_that_is_away_is_told_soon_and_without_its_address() -> None:
    store = Bucket("http://127.0.0.1:1", "bucket").store(s3_retry_seconds=1)
    begun = monotonic()
    with pytest.raises(StoreUnavailable, match="fails") as failure:
        await store.get("things/aa")

    assert monotonic() - begun < 10
    assert isinstance(failure.value, UnreachableError)
    assert "127.0.0.1" not in str(failure.value)


async def test_a_file_that_the_store_breaks_off_is_told_as_a_store_that_fails() -> None:
    async with breaking_server(size=3_000_000, sent=1_000_000) as address:
        store = Bucket(address, "bucket").store(s3_timeout_seconds=1, s3_retry_seconds=1)
        size, chunks = await store.stream("things/aa")

        async def received() -> list[bytes]:
            return [chunk async for chunk in chunks]

        with pytest.raises(StoreUnavailable, match="fails") as failure:
            await received()

        assert size == 3_000_000
        assert address not in str(failure.value)


async def test_a_file_that_is_missing_is_told_from_a_bucket_that_is(bucket: Bucket) -> None:
    store = bucket.store()
    await store.require(await store.put(b"x", prefix="things"))

    with pytest.raises(ObjectMissing):
        await store.require("things/aa")
    with pytest.raises(StoreMisconfigured, match="no such bucket"):
        await Bucket(bucket.endpoint, "no-such-bucket").store().require("things/aa")


async def test_a_store_that_says_nothing_is_not_waited_for_for_ever() -> None:
    async with silent_server() as address:
        store = Bucket(address, "bucket").store(s3_timeout_seconds=0.2, s3_retry_seconds=0.5)
        begun = monotonic()
        with pytest.raises(StoreUnavailable):
            await store.get("things/aa")
        with pytest.raises(StoreUnavailable):
            await store.put(b"x", prefix="things")

        assert monotonic() - begun < 15


def test_half_of_the_credentials_is_refused(bucket: Bucket) -> None:
    with pytest.raises(ValidationError, match="belong together"):
        ObjectStoreSettings(object_store_url=bucket.url, s3_access_key_id="a-key")


@pytest.mark.parametrize("address", ["minio:9000", "ftp://minio", "https://", "https://me:secret@minio"])
def test_an_endpoint_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="s3_endpoint"):
        ObjectStoreSettings(object_store_url="s3://bucket", s3_endpoint=address)


def test_a_certificate_that_is_none_is_refused_at_once(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate at all")

    with pytest.raises(ValueError, match="No certificates found"):
        bucket.store(s3_ca_file=tmp_path / "ca.pem")
