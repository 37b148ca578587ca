"""The handler, without a broker and without a store."""

from io import BytesIO

import pytest
from pictures import picture, uploaded
from PIL import Image
from waybill import PermanentError
from waybill.testing import run_handler

from thumbnailer import service


async def test_a_thumbnail_fits_its_edge() -> None:
    content = picture()
    event = uploaded(content)
    run = await run_handler(service, event, files={event.source_key: content})

    assert (run.result["width"], run.result["height"]) == (160, 80)
    with Image.open(BytesIO(run.files["thumbnail.webp"])) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (160, 80))


async def test_what_is_no_picture_is_given_up_at_once() -> None:
    event = uploaded(b"no picture")

    with pytest.raises(PermanentError, match="Pillow does not read this image/jpeg"):
        await run_handler(service, event, files={event.source_key: b"no picture"})
