"""The list of tasks: found, filtered, paged, walked through with keys."""

import re
from datetime import UTC, datetime

from tests.pages.fixtures import Site, Visiting
from waybill_contracts.wire import LifecycleData, LifecycleType, lifecycle_event
from waybill_database import open_engine
from waybill_ledger import apply_events


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
    page.fill("[data-search]", visited.site.seeded.ids["done"][:8])
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


def test_a_task_says_why_it_has_not_ended(visit: Visiting) -> None:
    visited = visit("reader")
    words = {
        "retrying": "ended with TransientError: crm answered 503 to contact 7. The next one begins in ",
        "running": "Progress: 40%, page 4 of 10",
        "scheduled": "It is scheduled: it begins in 4 h",
        "pending": "The broker cannot be reached: the task is stored",
    }
    for name, reason in words.items():
        assert reason in visited.go(f"/ui/tasks/{{{name}}}").inner_text(".why"), name
    assert visited.go("/ui/tasks/{done}").locator(".why").count() == 0


def test_a_task_shows_its_attempts_and_waits_on_a_line_of_time(visit: Visiting) -> None:
    page = visit("reader").go("/ui/tasks/{retried}")
    bars = [(bar.get_attribute("class") or "").split()[1] for bar in page.locator("svg .bar").all()]
    assert bars == ["queue", "retry", "backoff", "retry", "backoff", "completed"]
    titles = page.locator("svg .bar title").all_text_contents()
    assert titles[1:3] == ["sync: attempt 1: retry, 2.4 s", "sync: waits for the next attempt, 4.0 s"]
    places = [float((bar.get_attribute("x") or "").rstrip("%")) for bar in page.locator("svg .bar").all()]
    assert places == sorted(places)


def test_a_task_that_has_not_begun_is_cancelled(visit: Visiting) -> None:
    page = visit().go("/ui/tasks/{scheduled}")
    page.click("summary:has-text('Cancel…')")
    page.click("text=Cancel this task")
    assert "Cancelled: no attempt of it will begin." in page.inner_text("[role=status]")
    assert page.locator(".head .state.cancelled").count() == 1
    assert page.locator("summary:has-text('Cancel…')").count() == 0


def test_a_page_renews_itself_while_its_task_is_open(visit: Visiting, site: Site) -> None:
    page = visit("reader").go("/ui/tasks/{renewed}")
    page.evaluate("window.same = true")
    data = LifecycleData(
        task_id=site.seeded.ids["renewed"],
        service="email",
        kind="email.requested",
        redrive_no=0,
        attempt=1,
        max_attempts=4,
        seconds=0.1,
        result={"done": True},
    )
    engine = open_engine(site.seeded.url, connections=1)
    with engine.begin() as connection:
        apply_events(connection, [lifecycle_event(LifecycleType.COMPLETED, datetime.now(UTC), data)])
    engine.dispose()
    page.wait_for_selector(".head .state.completed")
    assert page.evaluate("window.same"), "without a new page"


def test_the_overview_leads_to_what_it_counts(visit: Visiting) -> None:
    page = visit("reader").go("/ui")
    counted = page.get_attribute(".flow tbody tr >> nth=1 >> [data-label=Failed] a", "title")
    page.click(".flow tbody tr >> nth=1 >> [data-label=Failed] a")
    assert page.locator("[data-row]").count() == int(counted or "") == 10


def test_the_overview_shows_rates_times_queues_and_a_chart_of_the_chosen_time(visit: Visiting) -> None:
    page = visit("reader").go("/ui")
    assert "No process of images takes work" in page.inner_text(".findings")
    page.click("text=last 7 days")
    assert "within=7d" in page.url
    assert page.locator(".flow tbody tr").count() == 3
    chart = page.locator(".chart svg >> nth=0")
    assert " 10 failed, " in (chart.get_attribute("aria-label") or "")
    # One bar for each step with failures, as high as there were.
    bars = page.locator(".chart path.failed").get_attribute("d") or ""
    assert 1 <= bars.count("z") <= 2
    sync = page.locator("tr", has=page.get_by_role("rowheader", name="sync", exact=False)).first
    assert sync.locator("[data-label=Consumers]").inner_text() == "1"
    kinds = page.inner_text("section:has(#kinds-title)")
    assert "user.created" in kinds
    assert re.search(r"\d+ ms / \d+ ms / \d+ ms", kinds)


def test_a_search_says_how_far_it_looks(visit: Visiting) -> None:
    page = visit("reader").go("/ui/tasks?q=contacts")
    assert "Searched: the newest 100,000 tasks" in page.inner_text(".head")
    page.click("text=search all")
    assert "Searched" not in page.inner_text(".head")
    assert page.input_value("[name=q] >> nth=1") == "contacts"
