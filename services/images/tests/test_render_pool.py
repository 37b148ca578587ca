import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pyvips

from waybill_contracts.images.limits import ImageLimits
from waybill_images.render_pool import RenderPool
from waybill_worker.errors import HardTimeLimitExceeded, PermanentError, TransientError
from waybill_worker.worker_pool.pool import WorkerPoolOptions
from waybill_worker.worker_pool.process import WorkerLimits

HOPPER = (Path(__file__).parent / "photographs" / "grace_hopper.jpg").read_bytes()


def options(*, workers: int = 1, seconds: float = 30, memory_bytes: int = 2 * 1024**3) -> WorkerPoolOptions:
    return WorkerPoolOptions(WorkerLimits(memory_bytes, 20), seconds, workers)


@pytest.fixture
async def pool() -> AsyncIterator[RenderPool]:
    pool = RenderPool(ImageLimits(), options())
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
def slow_image() -> bytes:
    """A hundred megapixels in a third of a megabyte: half a second of one core at least."""
    return bytes(pyvips.Image.black(10_000, 10_000, bands=3).copy(interpretation="srgb").pngsave_buffer())


def workers() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid]


async def render_after_trouble(pool: RenderPool) -> int:
    """Tries until the pool has mended whatever befell it; only a transient error may come between."""
    for _ in range(5):
        try:
            return len((await pool.render(HOPPER, ["thumb"])).variants)
        except TransientError:
            continue
    return 0


async def test_nothing_runs_before_the_first_image_and_after_the_end() -> None:
    pool = RenderPool(ImageLimits(), options(workers=2))
    before = workers()
    rendered, _ = await asyncio.gather(*[pool.render(HOPPER, ["thumb"]) for _ in range(2)])
    during = workers()
    await pool.close()
    await pool.close()

    assert [variant.format for variant in rendered.variants] == ["webp", "jpeg"]
    assert (len(before), len(during), workers()) == (0, 2, [])
    with pytest.raises(RuntimeError, match="closed"):
        await pool.render(HOPPER, ["thumb"])


async def test_refusals_come_back_as_they_are(pool: RenderPool) -> None:
    with pytest.raises(PermanentError, match="ends after 30000 bytes"):
        await pool.render(HOPPER[:30_000], ["thumb"])


async def test_the_loop_goes_on_while_images_are_rendered(pool: RenderPool) -> None:
    turns = 0
    rendering = asyncio.ensure_future(pool.render(HOPPER, ["thumb"]))
    while not rendering.done():
        turns += 1
        await asyncio.sleep(0)

    assert turns > 100
    assert len((await rendering).variants) == 2


async def test_an_image_that_takes_too_long_is_ended_and_the_next_goes_on(slow_image: bytes) -> None:
    pool = RenderPool(ImageLimits(), options(seconds=0.001))
    try:
        with pytest.raises(HardTimeLimitExceeded, match=r"not rendered within 0.001 s"):
            await pool.render(slow_image, ["thumb", "medium", "large"])
        with pytest.raises(HardTimeLimitExceeded, match=r"not rendered within 0.001 s"):
            await pool.render(slow_image, ["thumb", "medium", "large"])
    finally:
        await pool.close()


async def test_a_worker_that_dies_fails_its_image_and_is_replaced(
    pool: RenderPool, slow_image: bytes
) -> None:
    await pool.render(HOPPER, ["thumb"])
    (worker,) = workers()
    rendering = asyncio.ensure_future(pool.render(slow_image, ["large"]))
    await asyncio.sleep(0)
    os.kill(worker, signal.SIGKILL)

    with pytest.raises(TransientError, match="render"):
        await rendering
    assert await render_after_trouble(pool) == 2


async def test_a_worker_that_dies_with_half_an_image_taken(pool: RenderPool) -> None:
    await pool.render(HOPPER, ["thumb"])
    (worker,) = workers()
    os.kill(worker, signal.SIGSTOP)
    # More than a pipe holds: it cannot have been taken as a whole.
    rendering = asyncio.ensure_future(pool.render(HOPPER + bytes(5_000_000), ["thumb"]))
    await asyncio.sleep(0)
    os.kill(worker, signal.SIGKILL)

    with pytest.raises(TransientError, match="died"):
        await rendering
    assert len((await pool.render(HOPPER, ["thumb"])).variants) == 2


async def test_a_worker_that_dies_idle_is_replaced(pool: RenderPool) -> None:
    await pool.render(HOPPER, ["thumb"])
    (worker,) = workers()
    os.kill(worker, signal.SIGKILL)

    assert await render_after_trouble(pool) == 2
    assert worker not in workers()


async def test_cancelling_frees_the_worker(pool: RenderPool, slow_image: bytes) -> None:
    rendering = asyncio.ensure_future(pool.render(slow_image, ["large"]))
    await asyncio.sleep(0)
    rendering.cancel()

    with pytest.raises(asyncio.CancelledError):
        await rendering
    assert len((await pool.render(HOPPER, ["thumb"])).variants) == 2


async def test_memory_is_limited() -> None:
    # A progressive JPEG is held whole, at 2 bytes for each of 3 x 64 million coefficients.
    empty = pyvips.Image.black(8000, 8000, bands=3).copy(interpretation="srgb")
    data = empty.jpegsave_buffer(interlace=True, subsample_mode="off")
    pool = RenderPool(ImageLimits(), options(memory_bytes=200 * 1024**2))
    try:
        with pytest.raises(PermanentError, match="takes more memory than there is"):
            await pool.render(data, ["thumb"])
        assert len((await pool.render(HOPPER, ["thumb"])).variants) == 2
    finally:
        await pool.close()


SERVICE = """
import asyncio, multiprocessing, sys
from pathlib import Path
from waybill_worker.worker_pool.pool import WorkerPoolOptions
from waybill_worker.worker_pool.process import WorkerLimits
from waybill_contracts.images.limits import ImageLimits
from waybill_images.render_pool import RenderPool

async def main():
    pool = RenderPool(ImageLimits(), WorkerPoolOptions(WorkerLimits(2**30, 20), 30, 2))
    image = Path(sys.argv[1]).read_bytes()
    await asyncio.gather(*[pool.render(image, ["thumb"]) for _ in range(2)])
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_killed_service_leaves_no_worker_behind(tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text(SERVICE)
    photograph = Path(__file__).parent / "photographs" / "grace_hopper.jpg"
    command = [sys.executable, str(script), str(photograph)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout
        pids = [int(pid) for pid in service.stdout.readline().split()]
        service.kill()
        service.wait()
        # The workers hold the other end of the pipe until they are gone.
        assert service.stdout.read() == ""

    assert len(pids) == 2
