"""The failure desk: from a group to the plan of a redrive, its start and its steering; letters one by one."""

import httpx

from tests.pages.fixtures import Site, Visiting


def test_from_a_failure_to_a_redrive_that_is_steered(visit: Visiting) -> None:
    page = visit().go("/ui")
    page.click("text=sync: 2 failed for good with PermanentError")
    assert "the city is missing" in page.inner_text("main")
    page.click("summary:has-text('Redrive…')")
    page.fill("details[open] [name=note]", "the form was mended")
    page.fill("[name=canary]", "1")
    page.click("text=Make the plan")
    assert "2 of 2 letters would be sent, 10.0 a second" in page.inner_text("main")
    assert "the first 1 as a canary" in page.inner_text("main")
    page.click("button:text-is('Start')")
    page.wait_for_selector(".head .state.running")
    assert "canary: the others wait" in page.inner_text(".head")
    page.click("button:text-is('Pause')")
    page.wait_for_selector(".head .state.paused")
    page.click("button:text-is('Resume')")
    page.wait_for_selector(".head .state.running")
    page.click("summary:has-text('Cancel…')")
    page.fill("[name=reason]", "enough")
    page.click("text=Cancel the redrive")
    page.wait_for_selector(".head .state.cancelled")
    page.click("nav >> text=Redrives")
    assert "the form was mended" in page.inner_text("[data-row] >> nth=0")


def test_a_plan_that_changed_is_not_started(visit: Visiting) -> None:
    visited = visit()
    page = visited.go("/ui/redrives/{redrive}")
    page.eval_on_selector("[name=hash]", "field => field.value = '0'.repeat(64)")
    page.click("button:text-is('Start')")
    assert "Not possible any more" in page.inner_text("h1")
    assert visited.go("/ui/redrives/{redrive}").locator(".head .state.planned").count() == 1


def test_a_group_has_a_note_and_is_archived_and_restored(visit: Visiting) -> None:
    page = visit().go("/ui/failures?q=onerror")
    page.click("[data-row] a")
    page.fill("[name=note]", "<b>ann</b> looks into it")
    page.click("text=Store the note")
    assert page.input_value("[name=note]") == "<b>ann</b> looks into it"
    page.click("summary:has-text('Archive…')")
    page.fill("[name=reason]", "nobody needs it")
    page.click("text=Archive the group")
    page.wait_for_selector(".head .state.archived")
    page.click("summary:has-text('Restore…')")
    page.fill("[name=reason]", "somebody does")
    page.click("text=Restore the group")
    page.wait_for_selector(".head .state.open")


def test_a_letter_is_discarded_and_restored(visit: Visiting) -> None:
    page = visit().go("/ui/letters/2")
    page.click("summary:has-text('Discard…')")
    page.fill("details[open] [name=reason]", "a test")
    page.click("text=Discard the letter")
    page.wait_for_selector(".head .state.discarded")
    assert "by operator: a test" in page.inner_text("main")
    page.click("summary:has-text('Restore…')")
    page.fill("details[open] [name=reason]", "no test")
    page.click("text=Restore the letter")
    page.wait_for_selector(".head .state.dead")


def test_a_look_at_a_letter_has_its_reason_in_the_audit_trail(visit: Visiting, site: Site) -> None:
    page = visit().go("/ui/letters/1")
    assert "Ann" not in page.inner_text("main")
    page.click("summary:has-text('Reveal…')")
    page.fill("details[open] [name=reason]", "ticket 17")
    page.click("text=Show what is sealed")
    assert '"name": "Ann"' in page.inner_text("main")
    key = {"Authorization": f"Bearer {site.seeded.tokens['reader']}"}
    entries = httpx.get(f"{site.url}/v1/audit", params={"action": "reveal"}, headers=key).json()["items"]
    assert ("operator", "ticket 17") in {(entry["actor"], entry["reason"]) for entry in entries}


def test_another_tenants_letters_are_not_there(visit: Visiting) -> None:
    visited = visit("stranger")
    assert "Not found" in visited.go("/ui/letters/1").inner_text("h1")
    assert "Not found" in visited.go("/ui/failures/{group}").inner_text("h1")
    assert visited.go("/ui/failures").locator("[data-row]").count() == 0
    assert "failed for good" not in visited.go("/ui").inner_text("main")
