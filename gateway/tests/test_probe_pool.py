"""What becomes of uploads whose look takes too much, or ends its process."""

import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pyvips

from waybill_gateway.http.problems import Problem
from waybill_gateway.images.probe_pool import ProbePool
from waybill_gateway.probe.facts import ImageFacts, RefusedImage
from waybill_testkit.gateway.in_process import settings_in


@pytest.fixture
def slow_picture(tmp_path: Path) -> Path:
    """A hundred megapixels: a second of one core."""
    pyvips.Image.black(10_000, 10_000, bands=3).copy(interpretation="srgb").pngsave(
        str(tmp_path / "slow.png")
    )
    return tmp_path / "slow.png"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pyvips.Image.black(30, 20, bands=3).pngsave(str(tmp_path / "small.png"))
    return tmp_path / "small.png"


@pytest.fixture
async def pools(tmp_path: Path) -> AsyncIterator[Any]:
    made: list[ProbePool] = []

    def make(**settings: Any) -> ProbePool:
        made.append(ProbePool(settings_in(tmp_path, image_probes=1, **settings)))
        return made[-1]

    yield make
    for pool in made:
        await pool.close()


async def probed(pool: ProbePool, path: Path) -> ImageFacts:
    with path.open("rb") as file:
        return await pool.probe(file.fileno())


async def test_an_image_that_takes_too_much_processor_time_is_refused(
    pools: Any, slow_picture: Path, picture: Path
) -> None:
    pool = pools(image_probe_cpu_seconds=0.2)
    pyvips.Image.new_from_file(str(slow_picture)).copy(interpretation="srgb").pngsave(
        str(slow_picture.with_name("interlaced.png")), interlace=True, bitdepth=16
    )
    with pytest.raises(
        RefusedImage, match=r"takes more than 0.2 s of processor time. Save it again"
    ) as caught:
        await probed(pool, slow_picture.with_name("interlaced.png"))

    assert caught.value.code == "too_costly"
    assert await probed(pool, picture) == ImageFacts("png", "image/png", 30, 20)


async def test_an_image_that_is_not_looked_into_in_time_is_to_be_sent_again(
    pools: Any, slow_picture: Path
) -> None:
    with pytest.raises(Problem) as caught:
        await probed(pools(image_probe_seconds=0.01), slow_picture)

    assert (caught.value.status_code, caught.value.code) == (503, "image_check_too_slow")
    assert caught.value.headers == {"Retry-After": "10"}


async def test_an_image_that_takes_too_much_memory_is_refused(
    pools: Any, tmp_path: Path, picture: Path
) -> None:
    noise = pyvips.Image.black(8000, 8000, bands=3).copy(interpretation="srgb")
    noise.jpegsave(str(tmp_path / "held.jpg"), interlace=True, subsample_mode="off")
    pool = pools(image_probe_bytes=256 * 1024**2)
    with pytest.raises(
        RefusedImage, match=r"takes more than 256 MiB of memory. Send a smaller one"
    ) as caught:
        await probed(pool, tmp_path / "held.jpg")

    assert caught.value.code == "too_costly"
    assert (await probed(pool, picture)).format == "png"


async def test_an_image_that_ends_its_decoder_twice_is_refused(
    pools: Any, tmp_path: Path, picture: Path
) -> None:
    # GLib gives up the process where it gets no memory for the canvas.
    canvas = pyvips.Image.black(10_000, 10_000, bands=3).copy(interpretation="srgb")
    canvas.gifsave(str(tmp_path / "canvas.gif"))
    pool = pools(image_probe_bytes=256 * 1024**2)
    with pytest.raises(RefusedImage, match=r"makes its decoder fail. Save it again") as caught:
        await probed(pool, tmp_path / "canvas.gif")

    assert caught.value.code == "damaged"
    assert (await probed(pool, picture)).format == "png"


async def test_a_worker_that_was_killed_costs_no_upload(pools: Any, picture: Path) -> None:
    pool = pools()
    for _ in range(3):
        assert (await probed(pool, picture)).format == "png"
        [worker] = [child for child in multiprocessing.active_children() if child.name == "image-probe"]
        assert worker.pid
        os.kill(worker.pid, signal.SIGKILL)
    assert (await probed(pool, picture)).format == "png"
