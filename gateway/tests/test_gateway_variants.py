import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pyvips
from pydantic import ValidationError
from sqlalchemy import Connection

from waybill_contracts.wire.lifecycle import (
    DeadReason,
    ErrorInfo,
    LifecycleData,
    LifecycleEvent,
    LifecycleType,
    lifecycle_event,
)
from waybill_ledger import apply_events
from waybill_ledger.schema.tables import FILES, TASKS
from waybill_testkit.bucket import Bucket
from waybill_testkit.gateway.in_process import EMAIL, Gateway, fields, problem, running, settings_in


def picture(suffix: str) -> bytes:
    drawn: bytes = pyvips.Image.black(30, 20, bands=3).write_to_buffer(suffix)
    return drawn


async def uploaded(gateway: Gateway, **form: Any) -> str:
    answer = await gateway.client.post("/v1/images", files={"file": ("a.png", picture(".png"))}, data=form)
    task_id: str = answer.json()["id"]
    return task_id


async def happened(gateway: Gateway, task_id: str, type_: LifecycleType, **data: Any) -> None:
    def apply(connection: Connection, events: Sequence[LifecycleEvent]) -> list[None]:
        apply_events(connection, events)
        return [None] * len(events)

    about = LifecycleData(
        task_id=task_id,
        service="images",
        kind="image.uploaded",
        redrive_no=0,
        attempt=1,
        max_attempts=6,
        **data,
    )
    await gateway.resources.records.write(apply, lifecycle_event(type_, datetime.now(UTC), about))


async def produced(gateway: Gateway, **form: Any) -> tuple[str, dict[str, bytes]]:
    """An accepted upload, and the files that the images service would have made of it."""
    task_id = await uploaded(gateway, **form)
    made = {"webp": picture(".webp"), "jpeg": picture(".jpg")}
    files = {}
    for format_, content in made.items():
        suffix = ".jpg" if format_ == "jpeg" else ".webp"
        key = await gateway.resources.objects.put(
            content, prefix="variants", suffix=suffix, content_type=f"image/{format_}"
        )
        files[format_] = {"key": key, "content_type": f"image/{format_}", "size_bytes": len(content)}
    result = {"variants": {"thumb": {"width": 30, "height": 20, "files": files}}}
    await happened(gateway, task_id, LifecycleType.COMPLETED, result=result)
    return task_id, made


async def test_a_variant_that_is_not_made_yet_is_asked_for_again(gateway: Gateway) -> None:
    task_id = await uploaded(gateway)
    answer = await gateway.client.get(f"/v1/images/{task_id}/thumb")
    assert "pending" in problem(answer, 409, "not_produced_yet")["detail"]
    assert answer.headers["Retry-After"] == "1"
    await happened(gateway, task_id, LifecycleType.STARTED)
    answer = await gateway.client.get(f"/v1/images/{task_id}/thumb")
    assert "running" in problem(answer, 409, "not_produced_yet")["detail"]


async def test_a_variant_that_was_never_made_says_so(gateway: Gateway) -> None:
    task_id = await uploaded(gateway)
    error = ErrorInfo(type="PermanentError", message="damaged")
    await happened(gateway, task_id, LifecycleType.DEAD, error=error, reason=DeadReason.PERMANENT)
    problem(await gateway.client.get(f"/v1/images/{task_id}/thumb"), 404, "never_produced")


@pytest.mark.parametrize(
    ("ending", "accept", "format_", "vary"),
    [
        ("", "image/avif,image/webp,*/*", "webp", "Accept"),
        ("", "*/*", "jpeg", "Accept"),
        ("", "image/jpeg", "jpeg", "Accept"),
        (".jpg", "image/webp", "jpeg", None),
        (".jpeg", "image/webp", "jpeg", None),
        (".webp", "image/jpeg", "webp", None),
    ],
)
async def test_a_produced_file_by_its_ending_or_else_by_accept(
    gateway: Gateway, ending: str, accept: str, format_: str, vary: str | None
) -> None:
    task_id, made = await produced(gateway)
    answer = await gateway.client.get(f"/v1/images/{task_id}/thumb{ending}", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.content == made[format_]
    assert answer.headers["Content-Type"] == f"image/{format_}"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Length"] == str(len(made[format_]))
    assert hashlib.sha256(made[format_]).hexdigest() in answer.headers["ETag"]
    assert answer.headers.get("Vary") == vary


async def test_variants_and_formats_that_are_not_there_are_not_found(gateway: Gateway) -> None:
    task_id, _ = await produced(gateway, variants="thumb")
    for path, code in (
        (f"{task_id}/large", "no_such_variant"),
        (f"{task_id}/tiny", "no_such_variant"),
        (f"{task_id}/thumb.png", "no_such_format"),
        (f"{uuid4()}/thumb", "no_such_task"),
    ):
        problem(await gateway.client.get(f"/v1/images/{path}"), 404, code)
    mail = (await gateway.post("/v1/emails", EMAIL)).json()["id"]
    problem(await gateway.client.get(f"/v1/images/{mail}/thumb"), 404, "no_such_variant")
    assert fields(await gateway.client.get("/v1/images/seven/thumb")) == {"task_id"}


async def test_a_produced_file_that_is_no_longer_kept_is_gone(gateway: Gateway) -> None:
    task_id, _ = await produced(gateway)
    for file in (gateway.folder / "objects" / "variants").rglob("*.webp"):
        file.unlink()
    problem(await gateway.client.get(f"/v1/images/{task_id}/thumb.webp"), 410, "no_longer_kept")


async def test_files_in_a_bucket_pass_through_the_gateway_unless_it_is_set_otherwise(
    tmp_path: Path, bucket: Bucket
) -> None:
    async with running(tmp_path, **bucket.settings()) as gateway:
        task_id, made = await produced(gateway)
        answer = await gateway.client.get(f"/v1/images/{task_id}/thumb.webp")
        assert (answer.status_code, answer.content) == (200, made["webp"])


async def test_a_caller_is_led_to_the_bucket_itself_for_a_while(tmp_path: Path, bucket: Bucket) -> None:
    async with running(tmp_path, **bucket.settings(), signed_url_seconds=30) as gateway:
        task_id, made = await produced(gateway)
        answer = await gateway.client.get(f"/v1/images/{task_id}/thumb", headers={"Accept": "image/webp"})
        assert answer.status_code == 307
        assert answer.headers["Cache-Control"] == "no-store"
        assert "X-Amz-Expires=30&" in answer.headers["Location"]
        async with httpx.AsyncClient() as caller:
            file = await caller.get(answer.headers["Location"])
        assert (file.status_code, file.content) == (200, made["webp"])
        assert file.headers["Content-Type"] == "image/webp"


async def test_nobody_is_led_to_a_file_that_is_no_longer_kept(tmp_path: Path, bucket: Bucket) -> None:
    async with running(tmp_path, **bucket.settings(), signed_url_seconds=30) as gateway:
        task_id, made = await produced(gateway)
        digest = hashlib.sha256(made["webp"]).hexdigest()
        await gateway.resources.objects.delete(f"variants/{digest[:2]}/{digest}.webp")
        problem(await gateway.client.get(f"/v1/images/{task_id}/thumb.webp"), 410, "no_longer_kept")


async def test_an_upload_that_cannot_be_stored_is_not_accepted(tmp_path: Path, bucket: Bucket) -> None:
    nowhere = bucket.settings() | {"object_store_url": "s3://no-such-bucket"}
    async with running(tmp_path, **nowhere) as gateway:
        answer = await gateway.client.post("/v1/images", files={"file": ("a.png", picture(".png"))})
        problem(answer, 503, "store_misconfigured")
        assert answer.headers["Retry-After"] == "60"
        assert await gateway.count(TASKS) == 0


def test_only_a_bucket_can_sign(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="needs a bucket"):
        settings_in(tmp_path, signed_url_seconds=30)


async def test_an_erased_picture_is_gone_and_its_original_is_not_in_use_any_more(gateway: Gateway) -> None:
    task_id, _ = await produced(gateway)
    assert (await gateway.client.get(f"/v1/images/{task_id}/thumb")).status_code == 200
    assert [row["tasks"] for row in await gateway.rows(FILES)] == [1]
    body = {"tasks": [task_id, str(uuid4())]}
    assert (await gateway.post("/v1/erasures", body)).json()["tasks"] == 1
    problem(await gateway.client.get(f"/v1/images/{task_id}/thumb"), 410, "no_longer_kept")
    # From now on it is removed like any other that nobody uses.
    assert [row["tasks"] for row in await gateway.rows(FILES)] == [0]
    assert (await gateway.post("/v1/erasures", body)).json()["tasks"] == 0
