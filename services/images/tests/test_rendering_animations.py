"""What moves goes on moving in WebP, or the caller is told that it does not."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import pyvips
from PIL import Image
from test_rendering_pictures import CLOSE, assert_quadrants, by_name, decode, far, quadrants

from waybill_contracts.images.limits import ImageLimits
from waybill_images.render import render
from waybill_images.render_result import Animation, RenderResult

FRAMES: tuple[Callable[[], Any], ...] = (
    quadrants,
    lambda: quadrants().rot180(),
    lambda: quadrants().invert(),
)
DELAYS = [40, 100, 500]


def film(saver: str, frames: int = 3) -> bytes:
    made = pyvips.Image.arrayjoin([FRAMES[n % 3]() for n in range(frames)], across=1).copy()
    made.set_type(pyvips.GValue.gint_type, "page-height", 120)
    made.set_type(pyvips.GValue.array_int_type, "delay", (DELAYS * frames)[:frames])
    made.set_type(pyvips.GValue.gint_type, "loop", 2)
    data: bytes = getattr(made, saver)()
    return data


def rendered(data: bytes, *presets: str, **limits: int) -> RenderResult:
    return render(data, presets or ("thumb",), ImageLimits(**limits))


@pytest.mark.parametrize("saver", ["gifsave_buffer", "webpsave_buffer"])
def test_an_animation_moves_on_in_webp_and_stands_still_in_jpeg(saver: str) -> None:
    made = rendered(film(saver), "thumb", "large")
    variants = by_name(made.variants)

    assert made.animation == Animation(3, "all frames")
    assert made.notes == ()
    for preset in ("thumb", "large"):
        moving = pyvips.Image.new_from_buffer(variants[preset, "webp"].data, "", n=-1)
        assert (moving.width, moving.get_page_height(), moving.get("n-pages")) == (240, 120, 3)
        assert (moving.get("delay"), moving.get("loop")) == (DELAYS, 2)
        for number, frame in enumerate(FRAMES):
            shown = moving.crop(0, 120 * number, 240, 120)
            assert far(shown, 0.2, 0.2, [int(band) for band in frame()(48, 24)]) < 2 * CLOSE
        still = decode(variants[preset, "jpeg"])
        assert (still.width, still.height) == (240, 120)
        assert_quadrants(still)
    assert {(variant.width, variant.height) for variant in made.variants} == {(240, 120)}


def test_a_large_animation_is_reduced_frame_by_frame() -> None:
    large = pyvips.Image.arrayjoin([frame().resize(4) for frame in FRAMES], across=1).copy()
    large.set_type(pyvips.GValue.gint_type, "page-height", 480)
    made = by_name(rendered(large.webpsave_buffer(), "medium", "thumb").variants)

    sizes = {name: (variant.width, variant.height) for name, variant in made.items() if name[1] == "webp"}
    assert sizes == {("medium", "webp"): (960, 480), ("thumb", "webp"): (256, 128)}
    small = pyvips.Image.new_from_buffer(made["thumb", "webp"].data, "", n=-1)
    assert (small.get_page_height(), small.get("n-pages")) == (128, 3)
    assert_quadrants(small.crop(0, 0, 256, 128))


@pytest.mark.parametrize("saver", ["gifsave_buffer", "webpsave_buffer"])
@pytest.mark.parametrize("limits", [{"max_animation_pixels": 3 * 240 * 120 - 1}, {"max_frames": 2}])
def test_too_much_of_an_animation_shows_its_first_frame_and_says_so(
    saver: str, limits: dict[str, int]
) -> None:
    made = rendered(film(saver), **limits)
    [webp, _] = made.variants

    assert made.animation == Animation(3, "first frame")
    assert made.notes[0].startswith("The animation has 3 frames of 240 x 120 pixels; up to")
    assert made.notes[0].endswith("its first frame was used.")
    assert "n-pages" not in decode(webp).get_fields()
    assert_quadrants(decode(webp))


def test_an_animation_that_is_damaged_later_on_shows_its_first_frame_and_says_so() -> None:
    noise = [pyvips.Image.gaussnoise(100, 80, seed=seed).cast("uchar") for seed in range(4)]
    frames = pyvips.Image.arrayjoin(noise, across=1).copy(interpretation="b-w")
    frames.set_type(pyvips.GValue.gint_type, "page-height", 80)
    data = frames.gifsave_buffer()
    middle = len(data) // 2
    made = rendered(data[:middle] + random.Random(3).randbytes(400) + data[middle + 400 :])

    assert made.animation is not None
    assert made.animation.kept == "first frame"
    assert made.notes == ("The animation is damaged after its first frame, which was used.",)
    assert "n-pages" not in decode(made.variants[0]).get_fields()


def test_a_gif_that_was_cut_short_moves_as_far_as_it_goes_and_says_so() -> None:
    made = rendered(film("gifsave_buffer", 6)[:-1])

    assert made.animation == Animation(6, "all frames")
    assert made.notes == ("The GIF has no end marker: frames may be missing.",)


def test_a_moving_png_shows_its_first_frame_and_says_so() -> None:
    frames = [Image.frombytes("RGB", (240, 120), frame().write_to_memory()) for frame in FRAMES]
    file = io.BytesIO()
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    made = rendered(file.getvalue())

    assert made.animation == Animation(3, "first frame")
    assert made.notes == ("Animations are kept of GIF and WebP, not of PNG: its first frame was used.",)
    assert_quadrants(decode(made.variants[0]))


def test_a_png_that_hides_its_frames_behind_very_many_chunks_stands_still() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    still = quadrants().pngsave_buffer()
    control = chunk(b"acTL", struct.pack(">II", 7, 0))
    assert rendered(still[:33] + control + still[33:]).animation == Animation(7, "first frame")
    assert rendered(still[:33] + chunk(b"teXt", b"") * 1000 + control + still[33:]).animation is None


def test_a_picture_that_stands_still_has_no_word_about_it() -> None:
    for saver in ("gifsave_buffer", "webpsave_buffer", "pngsave_buffer"):
        made = rendered(getattr(quadrants(), saver)())
        assert (made.animation, made.notes) == (None, ())
