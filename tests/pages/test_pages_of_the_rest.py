"""Kinds, schedules, keys, edits and cancellations of many, as a person does them with a browser."""

from tests.pages.fixtures import Site, Visiting
from tests.pages.ledger import HOSTILE


def test_a_task_is_posted_by_the_form_of_its_kind_and_again_like_itself(visit: Visiting) -> None:
    page = visit().go("/ui/kinds")
    page.click("text=sync.requested")
    page.click("text=Post one")
    page.fill("[name='data.target']", "crm")
    page.fill("[name='data.resource']", "contacts")
    page.fill("[name='data.id']", "not an id")
    page.fill("[name='data.data']", '{"name": "Ann"}')
    page.click("text=Post it")
    assert page.get_attribute("[name='data.id']", "aria-invalid") == "true"
    assert "should match pattern" in page.inner_text("[id='data.id-fault']")
    assert page.input_value("[name='data.data']") == '{"name": "Ann"}', "nothing is lost"
    page.fill("[name='data.id']", "p1")
    page.click("text=Post it")
    assert "Accepted: it is stored" in page.inner_text("[role=status]")
    page.click("text=Post again like this")
    assert page.input_value("[name='data.id']") == "p1"
    assert page.input_value("[name='data.data']") == "", "it is hidden"
    page.click("text=Post it")
    assert page.evaluate("document.activeElement.name") == "data.data", "the browser asks for it"


def test_a_schedule_is_made_run_paused_and_deleted(visit: Visiting) -> None:
    page = visit().go("/ui/schedules")
    page.click("text=New schedule")
    page.select_option("[name=kind]", "sync.requested")
    page.click("text=Go on")
    for name, value in {
        "name": "beat",
        "cron": "30 8 * * MON",
        "timezone": "Europe/Berlin",
        "data.target": "crm",
        "data.resource": "beats",
        "data.id": "w",
        "data.data": "{}",
    }.items():
        page.fill(f"[name='{name}']", value)
    page.click("text=Make the schedule")
    assert "08:30 CE" in page.inner_text(".slots")
    here = page.url
    page.click("text=Run now")
    assert "Accepted" in page.inner_text("[role=status]")
    page.goto(here)
    assert page.locator("[data-row]").count() == 1
    page.click("button:text-is('Pause')")
    assert "None while it is paused." in page.inner_text("main")
    page.click("summary:has-text('Delete…')")
    page.click("text=Delete the schedule")
    assert "beat" not in page.inner_text("main")


def test_a_letter_is_edited_previewed_and_redriven(visit: Visiting) -> None:
    page = visit().go("/ui/letters/3")
    page.click("text=Edit and redrive")
    page.fill("[name='data.resource']", "no resource")
    page.click("button:text-is('Preview')")
    assert "its contract refuses it" in page.inner_text("#preview")
    assert page.locator(".field.wrong [name='data.resource']").count() == 1
    page.fill("[name='data.resource']", "people")
    page.click("summary:has-text('Change one value')")
    page.fill("[name=pointer]", "/data/city")
    page.fill("[name=value]", "London")
    page.click("button:text-is('Preview')")
    assert "its contract accepts it" in page.inner_text("#preview")
    assert '"resource": "people"' in page.inner_text("#preview")
    assert "London" not in page.inner_text("#preview"), "it is in a hidden field"
    page.fill("[name=note]", "the city was missing")
    page.click("text=Plan its redrive")
    assert "1 of 1 letters would be sent" in page.inner_text("main")
    page.click("button:text-is('Start')")
    page.wait_for_selector(".head .state.running")
    page.click("nav >> text=Audit")
    assert "the city was missing" in page.inner_text("main")


def test_letters_are_archived_as_they_were_shown(visit: Visiting) -> None:
    page = visit().go("/ui/letters?q=onerror")
    page.click("text=Act on these…")
    assert "1 letters" in page.inner_text("h1")
    page.click("summary:has-text('Archive 1')")
    page.fill("details[open] [name=reason]", HOSTILE)
    page.click("text=Archive them")
    assert "1 letters were archived." in page.inner_text("[role=status]")
    page.click("nav >> text=Audit")
    assert "<img src=x onerror=" in page.inner_text("main")
    assert page.evaluate("window.hacked") is None
    page.goto(page.url.replace("audit", "letters/chosen?state=archived"))
    page.click("summary:has-text('Restore 1')")
    page.fill("details[open] [name=reason]", "it was a test")
    page.click("text=Restore them")


def test_open_tasks_of_a_search_are_cancelled_as_they_were_shown(visit: Visiting) -> None:
    page = visit().go("/ui")
    page.click("[data-search]")
    page.wait_for_selector("#suggestions option[value='state:scheduled']", state="attached")
    page.fill("[data-search]", "state:pending Welcome")
    page.keyboard.press("Enter")
    page.click("text=Cancel open ones…")
    assert "1 pending." in page.inner_text("main")
    page.click("text=Cancel these 1 tasks")
    prevented, stopping, ended = map(int, page.locator("[role=status] dd").all_inner_texts())
    assert (prevented + stopping, ended) == (1, 0)


def test_a_key_is_made_signed_in_with_and_revoked(visit: Visiting, site: Site) -> None:
    page = visit("administrator").go("/ui/keys")
    page.fill("[name=name]", "ann")
    page.check("[name='scope.read']")
    page.click("text=Make the key")
    site.seeded.tokens["ann"] = page.inner_text(".secret")
    ann = visit("ann")
    assert ann.go("/ui/tasks").locator("nav >> text=Keys").count() == 0
    page.click("text=To all keys")
    assert site.seeded.tokens["ann"] not in page.content()
    page.click("summary[aria-label='Change the key ann']")
    page.click("text=Revoke ann")
    assert "Revoked" in page.inner_text("[role=status]")
    assert "/ui/sign-in" in ann.go("/ui/tasks").url


def test_a_form_works_without_scripts(visit: Visiting) -> None:
    page = visit(java_script_enabled=False).go("/ui/letters/4/edit")
    page.fill("[name='data.id']", "44")
    page.click("button:text-is('Preview')")
    assert "its contract accepts it" in page.inner_text("#preview")
    page.click("text=Plan its redrive")
    assert "would be sent" in page.inner_text("main")
