"""Signing in with a key, and what the session then is."""

import httpx
import pytest

from tests.pages.fixtures import Site, Visiting


def test_a_browser_without_a_key_is_asked_for_one_and_led_on(visit: Visiting, site: Site) -> None:
    visited = visit(None)
    page = visited.go("/ui/tasks?state=failed")
    assert "/ui/sign-in" in page.url
    page.fill("[name=key]", "wb_no_key")
    page.keyboard.press("Enter")
    assert "not a key of this installation" in page.inner_text("[role=alert]")
    page.fill("[name=key]", site.seeded.tokens["reader"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/tasks?state=failed")
    [cookie] = [each for each in page.context.cookies() if each["name"] == "waybill_key"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"], cookie["expires"]) == (
        True,
        "Lax",
        "/ui",
        -1,
    )
    page.click("text=Sign out")
    page.wait_for_url("**/ui/sign-in")
    assert "/ui/sign-in" in visited.go("/ui/tasks").url


def test_a_key_that_may_not_read_is_refused_with_the_reason(visit: Visiting) -> None:
    visited = visit("submitter")
    assert "does not allow read" in visited.page.inner_text("[role=alert]")


@pytest.mark.parametrize(
    "wanted",
    ["https://elsewhere.example/", "//elsewhere.example/ui/", "/docs", "/ui/../../x", "/ui/%252e%252e/x"],
)
def test_nobody_is_led_elsewhere(visit: Visiting, site: Site, wanted: str) -> None:
    visited = visit(None)
    page = visited.go(f"/ui/sign-in?next={wanted}")
    page.fill("[name=key]", site.seeded.tokens["reader"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/ui/**")


def test_a_region_that_renews_itself_loads_the_page_anew_once_the_session_has_ended(site: Site) -> None:
    renewed = httpx.get(f"{site.url}/ui", headers={"HX-Request": "true"})
    assert (renewed.status_code, renewed.headers["hx-refresh"]) == (204, "true")


def test_an_open_gateway_asks_for_nothing(visit: Visiting, open_site: Site) -> None:
    page = visit(None, at=open_site).go("/ui")
    assert page.locator("[data-row]").count() > 1
    assert page.locator("text=Sign out").count() == 0


def test_an_open_gateway_takes_the_form_of_the_first_page_that_is_visited(
    visit: Visiting, open_site: Site
) -> None:
    page = visit(None, at=open_site).go("/ui/letters/1")
    page.click("summary:has-text('Redrive…')")
    page.click("text=Make the plan")
    page.wait_for_url("**/ui/redrives/*")
    assert "would be sent" in page.inner_text("main")
