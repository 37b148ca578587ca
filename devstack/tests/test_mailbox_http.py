from collections.abc import AsyncIterator

import httpx
import pytest

from waybill_devstack.mailbox.faults import Faults
from waybill_devstack.mailbox.http import MAX_SHOWN, create_app
from waybill_devstack.mailbox.mails import Mails


@pytest.fixture
def mails() -> Mails:
    return Mails()


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def client(mails: Mails, faults: Faults) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(mails, faults))
    async with httpx.AsyncClient(transport=transport, base_url="http://mailbox") as client:
        yield client


async def test_lists_mails_oldest_first_with_the_agreed_names(
    mails: Mails, client: httpx.AsyncClient
) -> None:
    mails.receive(b"From: a@example.com\r\nTo: b@example.com\r\nSubject: 1\r\n\r\nx", "", [])
    mails.receive(b"Subject: 2\r\n\r\n", "", ["c@example.com"])
    listed = (await client.get("/api/messages")).json()
    assert [mail["subject"] for mail in listed] == ["1", "2"]
    assert set(listed[0]) == {"id", "message_id", "from", "to", "subject", "text", "html", "received_at"}
    assert listed[0]["from"] == "a@example.com"
    assert listed[0]["to"] == ["b@example.com"]
    assert listed[0]["html"] is None


async def test_deletes_all_mails(mails: Mails, client: httpx.AsyncClient) -> None:
    mails.receive(b"\r\n", "", [])
    answer = await client.delete("/api/messages")
    assert answer.status_code == 204
    assert (await client.get("/api/messages")).json() == []


async def test_sets_and_clears_a_fault(faults: Faults, client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/faults", json={"mode": "hang", "count": 2})
    assert (answer.status_code, answer.json()) == (200, {"mode": "hang", "count": 2})
    assert [faults.take(), faults.take(), faults.take()] == ["hang", "hang", "ok"]
    await client.post("/api/faults", json={"mode": "reject"})
    await client.post("/api/faults", json={"mode": "ok"})
    assert faults.take() == "ok"


@pytest.mark.parametrize(
    "body",
    [
        {"mode": "explode"},
        {"mode": "ok", "colour": "red"},
        {"count": 1},
        {"mode": "drop", "count": 0},
        ["ok"],
    ],
)
async def test_refuses_what_it_does_not_know(client: httpx.AsyncClient, body: object) -> None:
    assert (await client.post("/api/faults", json=body)).status_code == 422


async def test_refuses_a_large_body(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/faults", content=b" " * 20_000)).status_code == 413


async def test_the_page_escapes_mails_and_shuts_html_in_a_sandbox(
    mails: Mails, client: httpx.AsyncClient
) -> None:
    mails.receive(
        b'Subject: <script>alert(1)</script>\r\nContent-Type: text/html\r\n\r\n"><script>alert(2)</script>',
        "",
        [],
    )
    answer = await client.get("/")
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert 'sandbox title="HTML part of mail 1" srcdoc="&#34;&gt;&lt;script&gt;alert(2)' in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "http://" not in answer.text
    assert "https://" not in answer.text


async def test_the_page_shows_the_newest_first_and_not_all(mails: Mails, client: httpx.AsyncClient) -> None:
    for number in range(MAX_SHOWN + 1):
        mails.receive(f"Subject: subject-{number:03}\r\n\r\n".encode(), "", [])
    page = (await client.get("/")).text
    assert page.index("subject-100") < page.index("subject-001")
    assert "subject-000" not in page
    assert "101 mails, the newest 100 are shown" in page
