import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pillow_heif
import pytest
import pyvips

from waybill_ledger.schema.tables import OUTBOX, TASKS
from waybill_testkit.gateway.in_process import Gateway, fields, problem, running
from waybill_testkit.photograph import STORED_HEIGHT, STORED_WIDTH, photograph


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, max_upload_bytes=8_000_000) as started:
        yield started


def small(suffix: str = ".png") -> bytes:
    picture: bytes = pyvips.Image.black(30, 20, bands=3).write_to_buffer(suffix)
    return picture


async def upload(
    gateway: Gateway,
    content: bytes,
    name: str = "photo.jpg",
    form: dict[str, Any] | None = None,
    **headers: str,
) -> httpx.Response:
    named = {header.replace("_", "-"): value for header, value in headers.items()}
    files = {"file": (name, content)}
    return await gateway.client.post("/v1/images", files=files, data=form or {}, headers=named)


def stored(gateway: Gateway) -> list[Path]:
    return sorted(path for path in (gateway.folder / "objects").rglob("*") if path.is_file())


async def test_a_photograph_is_kept_by_its_content_and_only_its_reference_goes_on(gateway: Gateway) -> None:
    answer = await upload(gateway, photograph(), form={"variants": "thumb"})
    assert answer.status_code == 202, answer.text
    sha256 = hashlib.sha256(photograph()).hexdigest()
    [file] = stored(gateway)
    assert file.relative_to(gateway.folder / "objects") == Path("files/default", sha256[:2], sha256)
    assert file.read_bytes() == photograph()
    [task] = await gateway.rows(TASKS)
    assert json.loads(task["payload"]) == {
        "source_key": f"files/default/{sha256[:2]}/{sha256}",
        "sha256": sha256,
        "content_type": "image/jpeg",
        "width": STORED_WIDTH,
        "height": STORED_HEIGHT,
        "size_bytes": len(photograph()),
        "variants": ["thumb"],
    }
    shown = (await gateway.client.get(answer.headers["Location"])).json()
    assert (shown["about"], shown["kind"], shown["state"]) == ("photo.jpg", "image.uploaded", "pending")


@pytest.mark.parametrize(
    ("form", "kept"),
    [
        ({}, ["thumb", "medium", "large"]),
        ({"variants": ["large", "thumb", "large"]}, ["thumb", "large"]),
        ({"variants": "medium, thumb"}, ["thumb", "medium"]),
    ],
)
async def test_variants_are_named_each_once_and_all_if_none_is(
    gateway: Gateway, form: dict[str, Any], kept: list[str]
) -> None:
    await upload(gateway, small(), form=form)
    [task] = await gateway.rows(TASKS)
    assert json.loads(task["payload"])["variants"] == kept


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"only text", "not_an_image"),
        (b"", "empty"),
        (b"II*\x00" + b"\x00" * 600, "unsupported_format"),
        (small()[: len(small()) // 2], "damaged"),
    ],
)
async def test_what_is_no_image_is_refused_and_leaves_nothing(
    gateway: Gateway, content: bytes, code: str
) -> None:
    document = problem(await upload(gateway, content), 422, code)
    assert [error["field"] for error in document["errors"]] == ["file"]
    assert stored(gateway) == []
    assert await gateway.count(TASKS) == await gateway.count(OUTBOX) == 0


async def test_a_truncated_photograph_is_refused_and_leaves_nothing(gateway: Gateway) -> None:
    problem(await upload(gateway, photograph()[: len(photograph()) // 2]), 422, "damaged")
    assert stored(gateway) == []
    assert await gateway.count(TASKS) == 0


@pytest.mark.parametrize("size", [8_000_001, 8_200_000])
async def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(gateway: Gateway, size: int) -> None:
    answer = await upload(gateway, b"\xff\xd8\xff".ljust(size))
    assert "8,000,000" in problem(answer, 413, "too_large")["detail"]
    assert stored(gateway) == []
    assert await gateway.count(TASKS) == 0


async def test_an_unknown_variant_names_the_known_and_leaves_nothing(gateway: Gateway) -> None:
    document = problem(await upload(gateway, small(), form={"variants": "tiny"}), 422, "unknown_variant")
    assert document["errors"] == [{"field": "variants", "message": "any of: thumb, medium, large"}]
    assert stored(gateway) == []


async def test_a_form_without_a_file_or_with_another_field_is_refused(gateway: Gateway) -> None:
    assert fields(await gateway.client.post("/v1/images", data={"variants": "thumb"})) == {"file"}
    assert fields(await gateway.client.post("/v1/images", json={"file": "x"})) == {"file"}
    assert fields(await upload(gateway, small(), form={"size": "1"})) == {"size"}
    assert fields(await gateway.client.post("/v1/images", data={"file": "no upload"})) == {"file"}


async def test_a_broken_form_is_a_problem(gateway: Gateway) -> None:
    for body in (b"", b"--b", b"nonsense"):
        answer = await gateway.client.post(
            "/v1/images", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
        )
        assert answer.status_code in {400, 422}
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_files_name_is_shown_without_control_characters(gateway: Gateway) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a\x00\x1b[1m'
        + "é".encode()
        + b'.png"\r\n\r\n'
        + small()
        + b"\r\n--b--\r\n"
    )
    answer = await gateway.client.post(
        "/v1/images", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 202, answer.text
    [task] = await gateway.rows(TASKS)
    assert task["about"] == "a[1mé.png"


async def test_an_upload_is_repeated_by_its_content_not_its_name(gateway: Gateway) -> None:
    first = await upload(gateway, small(), name="a.png", Idempotency_Key="k1")
    again = await upload(gateway, small(), name="b.png", Idempotency_Key="k1")
    assert again.json() == first.json()
    other = await upload(gateway, small(".jpg"), Idempotency_Key="k1")
    problem(other, 422, "key_reused")
    assert await gateway.count(TASKS) == 1


async def test_the_same_image_at_once_is_kept_once(gateway: Gateway) -> None:
    answers = await asyncio.gather(*(upload(gateway, small()) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    assert len(stored(gateway)) == 1
    assert await gateway.count(TASKS) == 5


async def test_what_telephones_write_is_taken(gateway: Gateway) -> None:
    file = io.BytesIO()
    pillow_heif.from_bytes("RGB", (30, 20), bytes(1800)).save(file)
    avif = pyvips.Image.black(30, 20, bands=3).heifsave_buffer(compression="av1")
    answers = [
        await upload(gateway, file.getvalue(), "photo.heic"),
        await upload(gateway, avif, "photo.avif"),
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    payloads = [json.loads(task["payload"]) for task in await gateway.rows(TASKS)]
    assert {payload["content_type"] for payload in payloads} == {"image/heic", "image/avif"}
    assert {(payload["width"], payload["height"]) for payload in payloads} == {(30, 20)}
