"""The pictures of docs/ui.md: taken of pages with something on them, small, and each in its place.

`make pictures` renews them; a run of the tests takes them into a folder of its own, to be looked at.
"""

import os
import re
from pathlib import Path
from typing import Final

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.pages.fixtures import Site, Visiting

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "ui.md"
#: Where pictures are kept, if not in a folder of the test.
KEPT: Final = os.environ.get("WAYBILL_PICTURES")
MOST_BYTES, COLOURS = 80_000, 128
VIEW: Final = {"width": 1200, "height": 760}
#: Name of each picture, and the page that it shows.
PICTURES: Final = {
    "overview": "/ui",
    "task": "/ui/tasks/{retried}",
    "tasks": "/ui/tasks?q=crm+contacts&within=1d",
    "failure": "/ui/failures/{group}",
    "edit": "/ui/letters/5/edit",
    "redrive": "/ui/redrives/{redrive}",
    "post": "/ui/kinds/sync.requested/new",
}


@pytest.fixture
def pictures(tmp_path: Path, site: Site) -> Path:
    """Where to put them; what other tests show of hostile texts is archived."""
    key = {"Authorization": f"Bearer {site.seeded.tokens['operator']}"}
    groups = httpx.get(f"{site.url}/v1/dead-letters/groups", params={"q": "onerror"}, headers=key)
    for group in groups.json()["items"]:
        path = f"{site.url}/v1/dead-letters/groups/{group['id']}/archive"
        httpx.post(path, json={"reason": "no picture"}, headers=key)
    return tmp_path if KEPT is None else Path(KEPT)


def test_each_picture_is_small_and_shows_something(visit: Visiting, pictures: Path) -> None:
    visited = visit("administrator", viewport=VIEW, color_scheme="light")
    for name, path in PICTURES.items():
        page = visited.go(path)
        prepare(name, page)
        to = pictures / f"ui-{name}.png"
        page.screenshot(path=to)
        with Image.open(to) as whole:
            whole.convert("RGB").quantize(COLOURS).save(to, optimize=True)
        assert 4_000 < to.stat().st_size < MOST_BYTES, name


def prepare(name: str, page: Page) -> None:
    """Brings a page to what its picture is to show."""
    if name == "edit":
        page.fill("[name='data.resource']", "no resource")
        page.click("button:text-is('Preview')")
    elif name == "post":
        page.fill("[name='data.target']", "crm")
        page.fill("[name='data.data']", '{"city": "London"}')


def test_the_document_has_each_picture() -> None:
    shown = re.findall(r"\(ui-(\w+)\.png\)", DOCUMENT.read_text())
    assert sorted(shown) == sorted(PICTURES)
    assert all((DOCUMENT.parent / f"ui-{name}.png").stat().st_size < MOST_BYTES for name in shown)
