"""The list of tasks: found, filtered, paged, walked through with keys."""

import re

from tests.pages.fixtures import Visiting


def test_filters_are_in_the_address_and_survive_paging(visit: Visiting) -> None:
    page = visit().go("/ui/tasks")
    page.select_option("select[name=kind]", "email.requested")
    page.select_option("select[name=within]", "7d")
    page.click("text=Filter")
    assert re.search(r"kind=email.requested&.*within=7d", page.url)
    first = page.locator("[data-row] .id").all_inner_texts()
    assert len(first) == 50
    assert "accepted in the last 7 days" in page.inner_text(".head")
    page.click("text=Older")
    second = page.locator("[data-row] .id").all_inner_texts()
    assert second
    assert not set(first) & set(second)
    assert page.input_value("select[name=kind]") == "email.requested"
    assert "accepted since" in page.inner_text(".head")


def test_the_beginning_of_an_id_finds_what_it_is_of(visit: Visiting) -> None:
    visited = visit()
    page = visited.go("/ui/tasks")
    page.fill("[data-search]", visited.site.seeded.tasks["done"][:8])
    page.press("[data-search]", "Enter")
    assert page.locator("[data-row]").count() > 1, "all were made within a minute"
    page.fill("[data-search]", "Your order 1017")
    page.press("[data-search]", "Enter")
    assert page.locator("[data-row]").count() == 1


def test_another_tenants_tasks_are_not_shown(visit: Visiting) -> None:
    assert "of another tenant" not in visit("reader").go("/ui/tasks").inner_text("main")
    page = visit("stranger").go("/ui/tasks")
    assert page.locator("[data-row]").count() == 1
    assert "of another tenant" in page.inner_text("main")


def test_keys_search_and_walk_through_the_rows(visit: Visiting) -> None:
    page = visit().go("/ui/tasks")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.hasAttribute('data-search')")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.closest('[data-row]').rowIndex") == 1
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.wait_for_url("**cursor=**")


def test_colours_are_chosen_and_kept(visit: Visiting) -> None:
    page = visit(color_scheme="light").go("/ui/tasks")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("[data-theme-button]")
    dark = page.evaluate(ground)
    page.reload()
    assert light != dark == page.evaluate(ground)
