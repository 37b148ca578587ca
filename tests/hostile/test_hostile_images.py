"""Small files that unpack to very much: probe and rendering end soon, in little memory."""

import struct
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable
from time import monotonic

import pytest
import pytest_asyncio
import pyvips

from tests.hostile.hostile_pictures import chunk, empty_texts, png
from waybill_contracts.images.limits import ImageLimits
from waybill_gateway.images.probe_pool import ProbePool
from waybill_gateway.probe.examination import probe
from waybill_gateway.probe.facts import RefusedImage
from waybill_images.render_pool import RenderPool
from waybill_testkit.gateway.in_process import settings_in
from waybill_worker.worker_pool.pool import WorkerPoolOptions
from waybill_worker.worker_pool.process import WorkerLimits

#: Seconds that any of them may take on a busy machine; a fraction of one on a quiet one.
PATIENCE = 30.0
#: A renderer that wants more is refused it; one alone has 130 MB before it begins.
MEMORY = 768 * 1024**2


def zeros(mebibytes: int) -> bytes:
    """So much, packed to a thousandth."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1024**2)) for _ in range(mebibytes)) + packer.flush()


def gif(frames: int, width: int, height: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    control = b"\x21\xf9\x04\x08\0\0\0\0"
    pixel = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0" + b"\x02\x02\x44\x01\0"
    return head + (control + pixel) * frames + b";"


def animated_webp(frames: int) -> bytes:
    strip = pyvips.Image.arrayjoin([pyvips.Image.black(200, 200) + n for n in range(frames)], across=1)
    pages = strip.cast("uchar").copy()
    pages.set_type(pyvips.GValue.gint_type, "page-height", 200)
    data: bytes = pages.webpsave_buffer()
    return data


BOMBS: dict[str, Callable[[], bytes]] = {
    "a comment of 256 MB in PNG": lambda: png(chunk(b"zTXt", b"a\0\0" + zeros(256))),
    "a text of 256 MB in PNG": lambda: png(chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(256))),
    "a colour profile of 256 MB in PNG": lambda: png(chunk(b"iCCP", b"a\0\0" + zeros(256))),
    "very many empty texts in PNG": empty_texts,
    "very many comments in PNG": lambda: png(*(chunk(b"tEXt", b"k%d\0x" % n) for n in range(100_000))),
    "100 megapixels of black in PNG": lambda: png(width=10_000, height=10_000),
    "300,000 frames in GIF": lambda: gif(300_000, 1, 1),
    "a huge canvas around one pixel in GIF": lambda: gif(1, 30_000, 3_300),
    "very many frames in WebP": lambda: animated_webp(200),
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool() -> AsyncIterator[RenderPool]:
    running = RenderPool(ImageLimits(), WorkerPoolOptions(WorkerLimits(MEMORY, PATIENCE), PATIENCE, 1))
    yield running
    await running.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def probes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProbePool]:
    running = ProbePool(settings_in(tmp_path_factory.mktemp("probes"), image_probe_bytes=MEMORY))
    yield running
    await running.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", BOMBS)
async def test_what_unpacks_to_very_much_makes_small_variants_soon(
    pool: RenderPool, probes: ProbePool, name: str
) -> None:
    data = BOMBS[name]()
    assert len(data) < 9_000_000
    began = monotonic()
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        facts = await probes.probe(file.fileno())
    variants = (await pool.render(data, ["thumb"])).variants

    assert monotonic() - began < 2 * PATIENCE
    assert facts.width * facts.height <= 100_000_000
    assert {max(variant.width, variant.height) <= 256 for variant in variants} == {True}
    assert max(len(variant.data) for variant in variants) < 100_000


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1_000_000), (1_000_000, 1), (20_000, 20_000), (2**31 - 1, 2**31 - 1)]
)
def test_what_would_be_too_large_is_refused_unopened(width: int, height: int) -> None:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zeros(16)), chunk(b"IEND", b""))
    with tempfile.TemporaryFile() as file:
        file.write(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
        file.flush()
        with pytest.raises(RefusedImage, match="Send"):
            probe(file.fileno())
