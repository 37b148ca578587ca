import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pyvips

from waybill_contracts.images.limits import ImageLimits
from waybill_contracts.kinds.images import ImageUploaded
from waybill_images.handlers import make_variants
from waybill_images.render_pool import RenderPool
from waybill_testkit.bucket import Bucket
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.errors import PermanentError
from waybill_worker.files import AttemptFiles
from waybill_worker.object_store.store import ObjectStore
from waybill_worker.worker_pool.pool import WorkerPoolOptions
from waybill_worker.worker_pool.process import WorkerLimits

HOPPER = (Path(__file__).parent / "photographs" / "grace_hopper.jpg").read_bytes()
ATTEMPT = Attempt(
    task_id="0192f0c0-0000-7000-8000-000000000001",
    service="images",
    kind="image.uploaded",
    correlation_id="c",
    attempt=1,
    max_attempts=5,
    redrive_no=0,
    deadline=None,
)


def attempt(store: ObjectStore) -> Attempt:
    return replace(ATTEMPT, files=AttemptFiles(store, ATTEMPT.task_id))


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "file":
        return ObjectStore.from_url(f"file://{tmp_path}/objects")
    bucket: Bucket = request.getfixturevalue("bucket")
    return bucket.store()


@pytest.fixture
async def pool() -> AsyncIterator[RenderPool]:
    pool = RenderPool(ImageLimits(), WorkerPoolOptions(WorkerLimits(2 * 1024**3, 20), 30, 1))
    yield pool
    await pool.close()


def uploaded(key: str, size_bytes: int = len(HOPPER)) -> ImageUploaded:
    return ImageUploaded(
        source_key=key,
        sha256=hashlib.sha256(HOPPER).hexdigest(),
        content_type="image/jpeg",
        width=512,
        height=600,
        size_bytes=size_bytes,
        variants=("thumb", "medium"),
    )


async def test_variants_are_stored_and_told(store: ObjectStore, pool: RenderPool) -> None:
    event = uploaded(await store.put(HOPPER, prefix="originals", suffix=".jpg"))
    result = await make_variants(event, attempt(store), pool)
    again = await make_variants(event, attempt(store), pool)

    assert again == result
    sizes = {name: (variant["width"], variant["height"]) for name, variant in result["variants"].items()}
    assert sizes == {"thumb": (218, 256), "medium": (512, 600)}
    for preset, variant in result["variants"].items():
        assert set(variant["files"]) == {"webp", "jpeg"}
        for form, file in variant["files"].items():
            data = await store.get(file["key"])
            digest = hashlib.sha256(data).hexdigest()
            suffix = {"webp": ".webp", "jpeg": ".jpg"}[form]
            assert file == {
                "name": f"{preset}{suffix}",
                "key": f"results/{ATTEMPT.task_id}/{digest[:2]}/{digest}",
                "content_type": f"image/{form}",
                "size_bytes": len(data),
            }
            image = pyvips.Image.new_from_buffer(data, "")
            assert (image.width, image.height) == (variant["width"], variant["height"])


async def test_an_original_that_is_gone_is_permanent(store: ObjectStore, pool: RenderPool) -> None:
    with pytest.raises(
        PermanentError, match=r"originals/x is no longer in the object store; upload it again"
    ):
        await make_variants(uploaded("originals/x"), attempt(store), pool)


async def test_an_original_that_grew_is_not_read(store: ObjectStore, pool: RenderPool) -> None:
    key = await store.put(HOPPER, prefix="originals")
    with pytest.raises(PermanentError, match="is larger than it may be"):
        await make_variants(uploaded(key, size_bytes=100), attempt(store), pool)


async def test_a_key_that_leads_elsewhere_is_permanent(store: ObjectStore, pool: RenderPool) -> None:
    with pytest.raises(PermanentError, match="has no valid key"):
        await make_variants(uploaded("../../etc/passwd"), attempt(store), pool)


async def test_a_damaged_original_is_permanent(store: ObjectStore, pool: RenderPool) -> None:
    key = await store.put(HOPPER[:20_000], prefix="originals")
    with pytest.raises(PermanentError, match="ends after 20000 bytes"):
        await make_variants(uploaded(key), attempt(store), pool)


async def test_what_moves_and_what_there_is_to_note_is_told(store: ObjectStore, pool: RenderPool) -> None:
    film = pyvips.Image.arrayjoin([pyvips.Image.black(30, 20) + 90 * n for n in range(3)], across=1)
    film = film.cast("uchar").copy()
    film.set_type(pyvips.GValue.gint_type, "page-height", 20)
    results = [
        await make_variants(
            uploaded(await store.put(data, prefix="originals"), len(data)), attempt(store), pool
        )
        for data in (film.webpsave_buffer(), HOPPER[:-2], HOPPER)
    ]

    assert results[0]["animation"] == {"frames": 3, "kept": "all frames"}
    assert results[1]["notes"] == ["The JPEG has no end marker; what is there was decoded."]
    assert results[2].keys() == {"variants"}
