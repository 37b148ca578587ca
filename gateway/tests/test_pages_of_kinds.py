"""Kinds and services on the page: shown, posted by a form that is made of the contract, retired."""

import json
from typing import Any

import pytest
from registry_under_test import INVOICES, declare, handled, manifest, schema
from visiting import filled, followed, sent, text_of

from waybill_ledger.schema.tables import TASKS
from waybill_testkit.gateway.in_process import EMAIL, Gateway

FIELDS = {
    "email": {"type": "string", "maxLength": 50, "sensitive": True, "description": "who gets it"},
    "copies": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}]},
    "paper": {"$ref": "#/$defs/Paper"},
    "draft": {"type": "boolean"},
    "lines": {"type": "array", "items": {"type": "object", "required": ["text"]}, "maxItems": 5},
    "note": {},
}
PAPER = {"Paper": {"enum": ["a4", "letter"], "type": "string"}}
NEW = "/ui/kinds/invoice.requested/new"
ADDRESS = "kinds/invoice.requested/new"


@pytest.fixture
def database_system() -> str:
    """Nothing here depends on it."""
    return "sqlite"


@pytest.fixture
async def invoices(gateway: Gateway) -> Gateway:
    """A gateway with a kind that has fields of each type."""
    data = schema(**FIELDS) | {"$defs": PAPER}
    stated = manifest("invoices", "1.2", handled(data=data, policy={"attempts": 5, "concurrency": 2}))
    assert (await gateway.client.put(INVOICES, json=stated)).status_code == 201
    await declare(gateway)
    return gateway


async def data_of_tasks(gateway: Gateway) -> list[Any]:
    return [json.loads(row["payload"]) for row in await gateway.rows(TASKS)]


async def test_a_kind_shows_its_contract_and_who_handles_it(invoices: Gateway) -> None:
    page = text_of(await invoices.client.get("/ui/kinds/invoice.requested"))
    assert "invoices 1.2 1 5" in page
    assert "copies whole number, 1 to 9" in page
    assert "order_id required text, at most 20 characters" in page
    assert "email text, at most 50 characters sensitive who gets it" in page
    assert "paper a4, letter" in page
    listed = text_of(await invoices.client.get("/ui/kinds?service=invoices"))
    assert "invoice.requested in use 1 invoices" in listed
    assert "email.requested" not in listed


async def test_a_form_submits_a_task_of_the_kind(invoices: Gateway) -> None:
    given = {
        "data.order_id": "17",
        "data.copies": "2",
        "data.paper": "a4",
        "data.draft": "true",
        "data.lines": '[{"text": "a"}]',
        "data.note": "any\r\ntext",
    }
    page = await followed(invoices, await sent(invoices, NEW, ADDRESS, **given))
    assert "Accepted: it is stored" in text_of(page)
    assert await data_of_tasks(invoices) == [
        {
            "order_id": "17",
            "copies": 2,
            "paper": "a4",
            "draft": True,
            "lines": [{"text": "a"}],
            "note": "any\ntext",
        }
    ]


async def test_a_form_that_is_sent_twice_submits_once(invoices: Gateway) -> None:
    address, fields = await filled(invoices, NEW, ADDRESS, **{"data.order_id": "17"})
    first = await invoices.client.post(address, data=fields)
    second = await invoices.client.post(address, data=fields)
    assert first.headers["location"] == second.headers["location"]
    changed = await invoices.client.post(address, data=fields | {"data.order_id": "18"})
    assert changed.headers["location"] != first.headers["location"]
    assert [data["order_id"] for data in await data_of_tasks(invoices)] == ["17", "18"]


async def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(invoices: Gateway) -> None:
    given = {
        "data.order_id": "1" * 21,
        "data.copies": "many",
        "data.lines": '[{"text": "a"}, {}]',
        "delay_seconds": "-1",
    }
    answer = await sent(invoices, NEW, ADDRESS, **given)
    assert answer.status_code == 422
    assert 'id="delay_seconds-fault">Input should be greater than or equal to 0<' in answer.text
    answer = await sent(invoices, NEW, ADDRESS, **given | {"delay_seconds": ""})
    assert answer.status_code == 422
    assert 'id="data.copies-fault">the value is not of type "integer"<' in answer.text.replace("&#34;", '"')
    assert 'id="data.lines-fault">1/text: is required<' in answer.text
    assert 'id="data.order_id-fault">' in answer.text
    assert 'value="many"' in answer.text
    for unreadable in ("[1, NaN]", "[1e999]", '["\\ud800"]', "[" * 100_000):
        fields = {"data.order_id": "17", "data.lines": unreadable}
        broken = await sent(invoices, NEW, ADDRESS, **fields)
        assert (broken.status_code, 'id="data.lines-fault">is not JSON: ' in broken.text) == (422, True)
    assert await data_of_tasks(invoices) == []


async def test_a_value_that_is_none_of_a_choice_stays_until_another_one_is_chosen(invoices: Gateway) -> None:
    wrong = await sent(invoices, NEW, ADDRESS, **{"data.order_id": "17", "data.paper": "a5"})
    assert wrong.status_code == 422
    assert '<option value="a5" selected>a5</option>' in wrong.text


async def test_data_may_be_written_as_one_json_text(invoices: Gateway) -> None:
    answer = await sent(invoices, f"{NEW}?json=true", ADDRESS, data='{"order_id": ""}')
    assert answer.status_code == 303
    assert await data_of_tasks(invoices) == [{"order_id": ""}]
    for text, words in (
        ("[]", "must be an object"),
        ("{", "is not JSON"),
        ('{"order_id": 1}', "/data/order_id"),
    ):
        answer = await sent(invoices, f"{NEW}?json=true", ADDRESS, data=text)
        assert answer.status_code == 422
        assert words in text_of(answer)


async def test_a_task_is_posted_again_without_what_is_hidden(invoices: Gateway) -> None:
    first = {"order_id": "17", "email": "ann@example.test", "copies": 3, "note": {"a": [1]}}
    posted = await invoices.post("/v1/tasks", {"kind": "invoice.requested", "data": first})
    path = f"/ui/tasks/{posted.json()['id']}/again"
    page = text_of(await invoices.client.get(path))
    assert "but for what a form does not show: email." in page
    _, fields = await filled(invoices, path, ADDRESS)
    assert fields["data.order_id"] == "17"
    assert fields["data.copies"] == "3"
    assert fields["data.email"] == ""
    assert json.loads(fields["data.note"]) == {"a": [1]}
    assert (await sent(invoices, path, ADDRESS)).status_code == 303
    assert (await data_of_tasks(invoices))[1] == {"order_id": "17", "copies": 3, "note": {"a": [1]}}


async def test_a_masked_address_is_not_posted_again(invoices: Gateway) -> None:
    data = {"order_id": "17", "note": "for ann@example.test"}
    posted = await invoices.post("/v1/tasks", {"kind": "invoice.requested", "data": data})
    _, fields = await filled(invoices, f"/ui/tasks/{posted.json()['id']}/again", ADDRESS)
    assert fields["data.note"] == ""


async def test_a_value_that_is_too_long_for_a_field_is_left_out(invoices: Gateway) -> None:
    data = {"order_id": "17", "note": ["x" * 100_000]}
    posted = await invoices.post("/v1/tasks", {"kind": "invoice.requested", "data": data})
    page = await invoices.client.get(f"/ui/tasks/{posted.json()['id']}/again")
    assert "what a form does not show: note." in text_of(page)
    assert len(page.text) < 50_000


@pytest.mark.parametrize(
    "note",
    [
        "👩\u200d🚀 so\u00adft",
        ["a\u202eb", "\u2028"],
        {"a": "x\r\ny"},
        "a\n\nb ",
        'a "quoted" <b>',
        "7",
        None,
    ],
)
async def test_a_value_comes_back_from_a_form_as_it_was(invoices: Gateway, note: Any) -> None:
    data = {"order_id": "17", "note": note}
    posted = await invoices.post("/v1/tasks", {"kind": "invoice.requested", "data": data})
    again = await sent(invoices, f"/ui/tasks/{posted.json()['id']}/again", ADDRESS)
    assert again.status_code == 303
    first, second = await data_of_tasks(invoices)
    assert second == ({"order_id": "17"} if note is None else first)


async def test_a_text_that_misleads_is_not_put_into_a_field(invoices: Gateway) -> None:
    data = {"order_id": "\u202e71", "note": "a\x01b"}
    posted = await invoices.post("/v1/tasks", {"kind": "invoice.requested", "data": data})
    page = await invoices.client.get(f"/ui/tasks/{posted.json()['id']}/again")
    assert "what a form does not show: order_id, note." in text_of(page)
    assert "\u202e" not in page.text


async def test_hostile_words_of_a_contract_are_shown_as_text(gateway: Gateway) -> None:
    bad = '"><script>alert(1)</script>\u202e'
    data = schema(**{bad[:20]: {"type": "string", "description": bad, "enum": [bad, "b"]}})
    stated = manifest("invoices", "1", handled(data=data | {"description": bad}))
    assert (await gateway.client.put(INVOICES, json=stated)).status_code == 201
    for path in ("", "/new", "/new?json=true"):
        page = await gateway.client.get(f"/ui/kinds/invoice.requested{path}")
        assert page.status_code == 200, path
        assert "<script>alert" not in page.text
        assert "\u202e" not in text_of(page)
    answer = await sent(gateway, NEW, ADDRESS, **{"data.order_id": bad * 5})
    assert (answer.status_code, "<script>alert" in answer.text) == (422, False)


async def test_a_service_shows_its_policies_and_open_work(invoices: Gateway) -> None:
    await invoices.post("/v1/tasks", {"kind": "invoice.requested", "data": {"order_id": "17"}})
    page = text_of(await invoices.client.get("/ui/services/invoices"))
    assert "release 1.2, in use" in page
    assert "waiting 1 running 0" in page
    assert "and no attempt runs: does a process of it run?" in page
    assert "invoices 1.2 in use invoice.requested" in text_of(await invoices.client.get("/ui/services"))


async def test_a_service_with_open_work_is_not_retired_and_the_page_says_why(invoices: Gateway) -> None:
    posted = await invoices.post("/v1/tasks", {"kind": "invoice.requested", "data": {"order_id": "17"}})
    task = posted.json()["id"]
    answer = await sent(invoices, "/ui/services/invoices", "invoices/retire")
    assert answer.status_code == 409
    assert "nothing was changed" in text_of(answer)
    assert f'/ui/tasks/{task}">task {task}</a>: has no outcome yet' in answer.text


async def test_a_service_without_work_is_retired(invoices: Gateway) -> None:
    page = await followed(invoices, await sent(invoices, "/ui/services/invoices", "invoices/retire"))
    assert "invoices is retired: no further task goes to it." in text_of(page)
    assert "Post one" not in (await invoices.client.get("/ui/kinds/invoice.requested")).text
    assert (await invoices.client.get(NEW)).status_code == 422


async def test_a_built_in_kind_is_checked_as_its_route_does(gateway: Gateway) -> None:
    new = "/ui/kinds/email.requested/new"
    answer = await sent(gateway, new, new.removeprefix("/ui/"), **{"data.to": "ann@example.test"})
    assert answer.status_code == 422
    given = {f"data.{name}": value for name, value in EMAIL.items()}
    assert (await sent(gateway, new, new.removeprefix("/ui/"), **given)).status_code == 303
