"""The failure desk on the page, without a browser: letters chosen as they were shown, edited, revealed."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from test_gateway_failure_desk import dead, get
from test_pages import signed_in, token_in
from visiting import filled, followed, sent, text_of

from waybill_contracts.privacy import Keyring
from waybill_ledger import Scope
from waybill_ledger.schema.desk_tables import DEAD_LETTERS
from waybill_testkit.gateway.in_process import Gateway, running

EDIT = "/ui/letters/1/edit"


@pytest.fixture
def database_system() -> str:
    """Nothing here depends on it."""
    return "sqlite"


@pytest.fixture
async def keyed(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, gateway_auth="keys", sealing_keys=Keyring.new_key()) as started:
        yield started


async def states(gateway: Gateway) -> list[str]:
    return [row["state"] for row in sorted(await gateway.rows(DEAD_LETTERS), key=lambda row: row["id"])]


async def test_letters_are_filtered_and_exported(gateway: Gateway) -> None:
    await dead(gateway, 2)
    page = await gateway.client.get("/ui/letters?q=503&state=dead&service=sync")
    assert page.text.count("data-row") == 2
    assert "waybill dlq ls --service sync -q 503 --state dead" in text_of(page)
    for asked in ("?q=a%20b;$(c)", "?notice=discarded&q=a%20b;$(c)"):
        strange = await gateway.client.get(f"/ui/letters{asked}")
        assert "waybill dlq ls -q 'a b;$(c)'" in text_of(strange).replace("&#39;", "'")
    assert "No letter matches." in text_of(await gateway.client.get("/ui/letters?verdict=unfixable"))
    exported = await gateway.client.get("/ui/letters/export?service=sync")
    assert [json.loads(line)["id"] for line in exported.text.splitlines()] == [1, 2]
    assert "attachment" in exported.headers["content-disposition"]


async def test_what_is_done_to_chosen_letters_is_done_to_those_that_were_shown(gateway: Gateway) -> None:
    await dead(gateway, 2)
    chosen = "/ui/letters/chosen?service=sync"
    address, fields = await filled(gateway, chosen, "letters/discard", reason="no use")
    assert fields["ids"] == "2 1"
    await dead(gateway)  # comes after it was shown
    page = await followed(gateway, await gateway.client.post(address, data=fields))
    assert "2 letters were discarded." in text_of(page)
    assert await states(gateway) == ["discarded", "discarded", "dead"]
    answer = await sent(gateway, chosen, "letters/restore", reason="a mistake")
    assert "2 letters were restored." in text_of(await followed(gateway, answer))
    answer = await sent(gateway, "/ui/letters/chosen?service=sync", "letters/archive", reason="later")
    assert "3 letters were archived." in text_of(await followed(gateway, answer))
    entries = (await get(gateway, "/v1/audit"))["items"]
    assert [(each["action"], each["letters"], each["reason"]) for each in entries] == [
        ("archive", 3, "later"),
        ("restore", 2, "a mistake"),
        ("discard", 2, "no use"),
    ]


async def test_chosen_letters_are_redriven_with_a_change_of_each(gateway: Gateway) -> None:
    await dead(gateway, 2)
    patch = '[{"op": "replace", "path": "/id", "value": "9"}]'
    chosen = "/ui/letters/chosen?service=sync"
    page = await followed(gateway, await sent(gateway, chosen, "/redrives", patch=patch))
    assert "of 2 letters would be sent" in text_of(page)
    assert "Contract 2 valid" in text_of(page)
    assert "letter 1, edited" in text_of(page)
    broken = await sent(gateway, chosen, "/redrives", patch="{")
    assert (broken.status_code, "Not possible" in broken.text) == (422, True)


async def test_an_edit_is_previewed_and_planned_and_changes_only_what_was_changed(gateway: Gateway) -> None:
    await dead(gateway)
    _, fields = await filled(gateway, EDIT, "letters/1/edit")
    assert fields["data.id"] == "7"
    assert fields["data.data"] == "", "it is hidden"
    answer = await sent(
        gateway, EDIT, "letters/1/edit", **{"data.id": "8", "pointer": "/data/city", "value": "London"}
    )
    assert answer.status_code == 200
    words = text_of(answer)
    assert "What would be sent: its contract accepts it" in words
    assert "Changes: add /id , add /data/city" in words
    assert '"data": "[redacted, changed]"' in words
    assert 'value="8"' in answer.text
    address, fields = await filled(gateway, EDIT, "letters/1/edit", **{"data.id": "8", "note": "mended"})
    planned = await gateway.client.post(address.replace("/edit", "/redrive"), data=fields)
    page = await followed(gateway, planned)
    assert "redrive 1: mended" in text_of(page).lower()
    plan = await get(gateway, "/v1/redrives/1")
    assert plan["edits"] == [{"patch": [{"op": "add", "path": "/id", "value": "8"}]}]
    seen = await sent(gateway, "/ui/redrives/1", "letters/1/reveal", reason="what does it send?")
    assert '"id": "8"' in text_of(seen)


async def test_an_edit_that_the_contract_refuses_says_so_at_the_field(gateway: Gateway) -> None:
    await dead(gateway)
    for action in ("edit", "redrive"):
        address, fields = await filled(gateway, EDIT, "letters/1/edit", **{"data.id": "no id"})
        answer = await gateway.client.post(address.removesuffix("edit") + action, data=fields)
        assert answer.status_code == 422, action
        assert 'id="data.id-fault">' in answer.text
        assert "its contract refuses it" in answer.text
    answer = await sent(gateway, EDIT, "letters/1/edit", **{"data.data": "{"})
    assert 'id="data.data-fault">is not JSON' in answer.text
    answer = await sent(gateway, EDIT, "letters/1/edit", pointer="nowhere", value="1")
    assert answer.status_code == 422
    answer = await sent(gateway, EDIT, "letters/1/edit", patch="{}")
    assert "is not a JSON Patch: write a list of operations" in answer.text
    assert (await get(gateway, "/v1/redrives"))["items"] == []


async def test_hidden_values_are_edited_in_clear_by_who_gives_a_reason(gateway: Gateway) -> None:
    await dead(gateway)
    answer = await sent(gateway, EDIT, "edit/reveal", reason="ticket 7")
    assert "the audit trail has this look, with the reason “ticket 7”" in text_of(answer)
    shown = answer.text.partition('name="shown.data" value="')[2].partition('"')[0]
    assert "Ann" in shown
    [entry] = (await get(gateway, "/v1/audit"))["items"]
    assert (entry["action"], entry["reason"]) == ("reveal", "ticket 7")
    fields = {
        "form_token": token_in(answer),
        "shown.data": '{\n  "name": "Ann"\n}',
        "data.data": '{\r\n  "name": "Ann"\r\n}',
        "data.target": "crm",
        "data.resource": "contacts",
        "data.id": "7",
    }
    same = await gateway.client.post("/ui/letters/1/edit", data=fields)
    assert "Nothing is changed." in text_of(same)
    changed = await gateway.client.post("/ui/letters/1/edit", data=fields | {"data.data": '{"name": "Bea"}'})
    assert "Changes: add /data" in text_of(changed)


async def test_who_may_not_operate_is_shown_no_form(keyed: Gateway) -> None:
    await signed_in(keyed, Scope.READ, Scope.SUBMIT, Scope.REVEAL)
    for path in (EDIT, "/ui/letters/chosen?service=sync"):
        assert (await keyed.client.get(path)).status_code == 403
    form = {"form_token": token_in(await keyed.client.get("/ui/tasks")), "reason": "to see it"}
    assert (await keyed.client.post(f"{EDIT}/reveal", data=form)).status_code == 403
