"""What holds for each page: it is accessible, keeps its policy, fits a phone, and shows text as text."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.pages.fixtures import Site, Visiting
from tests.pages.ledger import HOSTILE

PAGES: Final = (
    "/ui/tasks",
    "/ui/tasks?state=failed",
    "/ui/tasks?q=nothing-has-this-name",
    "/ui/tasks?state=no-such-state",
)
AXE: Final = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: The two ends of what a page has to look well in.
LOOKS: Final = {
    "desk-light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "phone-dark": {"color_scheme": "dark", "viewport": {"width": 375, "height": 760}},
}


def violations(page: Any) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate("(rules) => axe.run({runOnly: rules}).then((result) => result.violations)", RULES)
    return [
        f"{each['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for each in found
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("look", LOOKS)
def test_each_page_is_accessible_and_fits(visit: Visiting, look: str) -> None:
    visited = visit(**LOOKS[look])
    width = LOOKS[look]["viewport"]["width"]  # type: ignore[index] # a mapping
    for path in PAGES:
        page = visited.go(path)
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_the_door_is_accessible(visit: Visiting) -> None:
    visited = visit(None)
    assert violations(visited.go("/ui/sign-in")) == []


def test_what_axe_finds_is_found(visit: Visiting) -> None:
    page = visit().go("/ui/tasks")
    page.evaluate("document.querySelector('[data-search]').removeAttribute('aria-label')")
    page.evaluate("document.querySelector('[data-search]').removeAttribute('placeholder')")
    assert any(found.startswith("label") for found in violations(page))


def test_a_violated_policy_is_noticed(visit: Visiting) -> None:
    visited = visit()
    visited.go("/ui/tasks")
    visited.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">red</p>')")
    visited.page.evaluate("1")
    assert any("style-src" in fault for fault in visited.faults)
    visited.faults.clear()


@pytest.mark.parametrize("path", ["/ui/tasks", "/ui/tasks?q=onerror"])
def test_hostile_text_is_shown_as_text(visit: Visiting, path: str) -> None:
    page = visit().go(path)
    beginning = HOSTILE.partition("\u202e")[0].strip()
    assert beginning in page.inner_text("main")
    assert "\u202e" not in page.content()
    assert page.evaluate("window.hacked") is None


def test_each_page_can_be_read_without_scripts(visit: Visiting, site: Site) -> None:
    visited = visit("reader", java_script_enabled=False)
    page = visited.go("/ui/tasks")
    assert page.locator("[data-row]").count() > 1
    page.select_option("select[name=state]", "failed")
    page.click("text=Filter")
    assert "state=failed" in page.url
    assert set(page.locator("[data-row] .state").all_inner_texts()) == {"failed"}
    assert site.url in page.url
