"""What holds for each page: it is accessible, keeps its policy, fits a phone, and shows text as text."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.pages.fixtures import Site, Visiting

PAGES: Final = (
    "/ui",
    "/ui/tasks",
    "/ui/tasks?state=failed",
    "/ui/tasks?q=nothing-has-this-name",
    "/ui/tasks?state=no-such-state",
    "/ui/tasks/{retried}",
    "/ui/tasks/{running}",
    "/ui/tasks/cancel?kind=email.requested",
    "/ui/tasks/{hostile}",
    "/ui/failures",
    "/ui/failures?q=nothing-has-this-text",
    "/ui/failures/{group}",
    "/ui/letters",
    "/ui/letters?q=nothing-has-this-text",
    "/ui/letters/chosen?service=sync",
    "/ui/letters/1",
    "/ui/letters/1/edit",
    "/ui/redrives",
    "/ui/redrives/{redrive}",
    "/ui/kinds",
    "/ui/kinds/email.requested",
    "/ui/kinds/email.requested/new",
    "/ui/kinds/sync.requested/new?json=true",
    "/ui/tasks/{retried}/again",
    "/ui/services",
    "/ui/services/sync",
    "/ui/schedules",
    "/ui/schedules/new",
    "/ui/schedules/new?kind=sync.requested",
    "/ui/schedules/{schedule}",
    "/ui/queues",
    "/ui/accounting",
    "/ui/audit",
    "/ui/keys",
)
AXE: Final = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: What depends on colours and width; the rest does not, and is checked once.
OF_LOOKS: Final = ["color-contrast", "target-size", "link-in-text-block"]
#: The two ends of what a page has to look well in.
LOOKS: Final = {
    "desk-light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "phone-dark": {"color_scheme": "dark", "viewport": {"width": 375, "height": 760}},
}


def violations(page: Any, rules: list[str] = RULES) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate("(rules) => axe.run({runOnly: rules}).then((result) => result.violations)", rules)
    return [
        f"{each['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for each in found
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("look", LOOKS)
def test_each_page_is_accessible_and_fits(visit: Visiting, look: str) -> None:
    visited = visit("administrator", **LOOKS[look])
    width = LOOKS[look]["viewport"]["width"]  # type: ignore[index] # a mapping
    for path in PAGES:
        page = visited.go(path)
        assert violations(page, RULES if look == "desk-light" else OF_LOOKS) == [], path
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


@pytest.mark.parametrize(
    "path",
    [
        *("/ui", "/ui/tasks", "/ui/tasks?q=onerror", "/ui/tasks/{hostile}"),
        *("/ui/failures", "/ui/letters", "/ui/letters/10", "/ui/letters/10/edit"),
        "/ui/schedules/{schedule}",
    ],
)
def test_hostile_text_is_shown_as_text(visit: Visiting, path: str) -> None:
    page = visit().go(path)
    assert "<img src=x onerror=" in page.inner_text("main")
    assert "\u202e" not in page.content()
    assert page.evaluate("window.hacked") is None


def test_a_payload_of_a_megabyte_is_cut(visit: Visiting) -> None:
    page = visit().go("/ui/tasks/{large}")
    page.click("text=Reveal…")
    page.fill("input[name=reason]", "a megabyte")
    page.click("text=Show what is sealed")
    page.wait_for_selector("text=Revealed: task")
    assert len(page.content()) < 200_000
    assert "cut: 1," in page.inner_text("main")


@pytest.mark.parametrize(
    "path",
    [
        *("/ui/tasks/{scheduled}", "/ui/failures/{group}", "/ui/letters/1", "/ui/redrives/{redrive}"),
        "/ui/schedules/{schedule}",
    ],
)
def test_who_may_only_read_is_offered_nothing_else(visit: Visiting, path: str) -> None:
    forms = "main form[method=post]"
    assert visit("reader").go(path).locator(forms).count() == 0
    assert visit("operator").go(path).locator(forms).count() > 0


def test_each_page_can_be_read_without_scripts(visit: Visiting, site: Site) -> None:
    visited = visit("reader", java_script_enabled=False)
    page = visited.go("/ui/tasks")
    assert page.locator("[data-row]").count() > 1
    page.select_option("select[name=state]", "failed")
    page.click("text=Filter")
    assert "state=failed" in page.url
    assert set(page.locator("[data-row] .state").all_inner_texts()) == {"failed"}
    assert site.url in page.url
