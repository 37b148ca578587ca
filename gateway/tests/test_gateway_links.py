"""Links by which a browser watches one task without a key, and sees nothing else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from keys_under_test import id_of, key_in
from streaming import Served, served

from waybill_contracts.privacy import Keyring
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_gateway.runtime.watch_links import WatchLinks
from waybill_ledger import Revocation, Scope, revoke_keys
from waybill_testkit.eventually import eventually
from waybill_testkit.gateway.in_process import EMAIL, problem
from waybill_testkit.samples import reported

STARTED, PROGRESS, COMPLETED = LifecycleType.STARTED, LifecycleType.PROGRESS, LifecycleType.COMPLETED
SHOP = "https://shop.example.com"


@pytest.fixture(params=["sqlite"])
def database_system(request: pytest.FixtureRequest) -> str:
    system: str = request.param
    return system


@pytest.fixture
async def gateway(tmp_path: Path, ledger_url: str) -> AsyncIterator[Served]:
    async with served(tmp_path, ledger_url, gateway_auth="keys", watch_origins=(SHOP,)) as gateway:
        yield gateway


async def posted(gateway: Served, key: dict[str, str]) -> tuple[str, str]:
    """Id of a new task, and its link."""
    answer = (await gateway.client.post("/v1/emails", json=EMAIL, headers=key)).json()
    return answer["id"], answer["links"]["watch"]


async def test_a_link_shows_the_state_of_its_task_and_nothing_of_its_content(gateway: Served) -> None:
    key = await key_in(gateway, Scope.READ, Scope.SUBMIT)
    task_id, link = await posted(gateway, key)
    await gateway.happened(reported(STARTED, task_id), reported(PROGRESS, task_id, text="page 1"))
    shown = await gateway.client.get(link)
    again = (await gateway.client.get(f"/v1/tasks/{task_id}", headers=key)).json()["links"]["watch"]

    assert set(shown.json()) == {*("id", "kind", "state", "created_at", "due_at", "completed_at", "progress")}
    assert (shown.json()["state"], shown.json()["progress"]["text"]) == ("running", "page 1")
    assert EMAIL["to"] not in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert shown.headers["referrer-policy"] == "no-referrer"
    assert (await gateway.client.get(again)).json() == shown.json()
    # No other call takes it.
    token = link.rpartition("/")[2]
    for path in ("/v1/tasks", f"/v1/tasks/{task_id}", "/v1/events"):
        refused = await gateway.client.get(path, headers={"Authorization": f"Bearer {token}"})
        problem(refused, 401, "key_unknown")


async def test_a_link_waits_and_streams_until_the_end(gateway: Served) -> None:
    task_id, link = await posted(gateway, await key_in(gateway, Scope.SUBMIT))
    waiting = asyncio.create_task(gateway.client.get(link, params={"wait": 60}))
    async with gateway.stream(f"{link}/events") as stream:
        [first] = await stream.take(1)
        await gateway.happened(reported(STARTED, task_id))
        [second] = await stream.take(1)
        await gateway.happened(reported(COMPLETED, task_id, result={"secret": "x"}))
        [end] = await stream.rest()
    nothing = await gateway.client.get(f"{link}/events", headers={"Last-Event-ID": end.id})

    assert [each.data["state"] for each in (first, second, end)] == ["pending", "running", "completed"]
    assert (first.name, end.name) == ("message", "end")
    assert (await waiting).json() == end.data
    assert nothing.status_code == 204


async def test_an_altered_link_opens_nothing(gateway: Served) -> None:
    key = await key_in(gateway, Scope.SUBMIT)
    _, link = await posted(gateway, key)
    other, _ = await posted(gateway, key)
    head, task, expires, by, signature = link.split("_")
    forged = [
        "_".join((head, other.replace("-", ""), expires, by, signature)),
        f"{head}_{task}_ffffffff_{by}_{signature}",
        f"{head}_{task}_{expires}_open_{signature}",
        "_".join((head, task, expires, by, signature[:-1] + ("0" if signature[-1] != "0" else "1"))),
        "_".join((head, task, expires, by, "00000000" + signature[8:])),
        link[:-1],
        "/v1/watch/é",
        "/v1/watch/x",
    ]
    for path in forged:
        for end in ("", "/events"):
            problem(await gateway.client.get(path + end), 404, "no_such_link")
        page = await gateway.client.get(f"{path}/page")
        assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "not a link of this installation" in page.text
        assert "refresh" not in page.text


async def test_a_link_ends_with_its_key(gateway: Served) -> None:
    key = await key_in(gateway, Scope.SUBMIT)
    _, link = await posted(gateway, key)
    waiting = asyncio.create_task(gateway.client.get(link, params={"wait": 60}))
    async with gateway.stream(f"{link}/events") as stream:
        await stream.take(1)
        await eventually(lambda: gateway.measured("waybill_watchers", watched="link") == 2)
        await gateway.resources.records.write(revoke_keys, Revocation(id_of(key), datetime.now(UTC)))
        assert await stream.rest() == []
    problem(await waiting, 410, "link_expired")
    gateway.state.known_keys.invalidate(id_of(key))
    problem(await gateway.client.get(link), 410, "link_expired")


async def test_a_link_expires(tmp_path: Path, ledger_url: str) -> None:
    async with served(tmp_path, ledger_url, watch_link_seconds=2) as gateway:
        _, link = await posted(gateway, {})
        async with gateway.stream(f"{link}/events") as stream:
            assert len(await stream.take(1)) == 1
            assert await stream.rest() == []
        assert stream.comments[-1] == ": the link has expired"
        problem(await gateway.client.get(link), 410, "link_expired")


def test_a_call_that_is_repeated_soon_gets_the_same_link() -> None:
    now = datetime(2026, 11, 30, 12, 0, 0, 990_000, UTC)
    accepted = int(now.timestamp() * 1000)
    task_id = str(UUID(int=(accepted << 80) | 0x7000_8000_0000_0000_0000))
    links = WatchLinks(Keyring([b"k" * 32]), 3600)
    made: list[tuple[str, int]] = []
    # The clock may be behind the one that made the id.
    for minutes in (-0.9, 28, 30, 58, 60, 1440):
        now = datetime.fromtimestamp(accepted / 1000 + minutes * 60, UTC)
        path = links.path(task_id, None, now)
        assert path is not None
        link = links.read(path.rpartition("/")[2])
        assert link is not None
        made.append((path, link.expires - int(now.timestamp())))

    paths = [path for path, _ in made]
    assert paths[0] == paths[1] != paths[2] == paths[3] != paths[4]
    assert all(1800 <= left <= 3600 for _, left in made), made


async def test_links_are_left_out_where_there_are_none(tmp_path: Path, ledger_url: str) -> None:
    async with served(tmp_path, ledger_url, watch_link_seconds=0) as gateway:
        _, link = await posted(gateway, {})
    assert link is None


async def test_many_tasks_have_no_links(gateway: Served) -> None:
    key = await key_in(gateway, Scope.READ, Scope.SUBMIT)
    mails = {"tasks": [{"kind": "email.requested", "data": EMAIL}] * 2}
    bulk = (await gateway.client.post("/v1/tasks/bulk", json=mails, headers=key)).json()
    listed = (await gateway.client.get("/v1/tasks", headers=key)).json()

    assert [task["links"]["watch"] for task in (*bulk["tasks"], *listed["items"])] == [None] * 4


async def test_a_link_is_asked_and_watched_only_so_often(gateway: Served) -> None:
    _, link = await posted(gateway, await key_in(gateway, Scope.SUBMIT))
    streams = [gateway.stream(f"{link}/events") for _ in range(10)]
    for stream in streams:
        await stream.__aenter__()
    problem(await gateway.client.get(f"{link}/events"), 503, "too_many_watchers")
    page = await gateway.client.get(f"{link}/page", params={"wait": 5})
    answers = [await gateway.client.get(link) for _ in range(30)]
    for stream in streams:
        await stream.__aexit__(None, None, None)

    refused = [answer for answer in answers if answer.status_code != 200]
    problem(refused[0], 429, "too_many_requests")
    # One more at a page sees the state of now, and one too many when to look again.
    assert (page.status_code, 'data-state="pending"' in page.text) == (200, True)
    assert 'content="10; url=?wait=5"' in page.text
    # On a slow machine the link may have been granted a few more calls meanwhile.
    pages = [await gateway.client.get(f"{link}/page") for _ in range(30)]
    late = next(page for page in pages if page.status_code != HTTPStatus.OK)
    assert (late.status_code, "Not just now" in late.text, "refresh" in late.text) == (429, True, True)


async def test_only_pages_of_named_origins_may_read_links_and_nothing_else(gateway: Served) -> None:
    key = await key_in(gateway, Scope.SUBMIT, Scope.READ)
    _, link = await posted(gateway, key)

    async def allowed(path: str, origin: str, method: str = "GET") -> str | None:
        asked = {"Origin": origin}
        if method == "OPTIONS":
            asked |= {"Access-Control-Request-Method": "GET"}
            asked |= {"Access-Control-Request-Headers": "last-event-id"}
        answer = await gateway.client.request(method, path, headers=asked)
        assert "access-control-allow-credentials" not in answer.headers
        origin_allowed: str | None = answer.headers.get("access-control-allow-origin")
        return origin_allowed

    for path in (link, f"{link}x", "/v1/watch.js"):
        assert await allowed(path, SHOP) == SHOP
        assert await allowed(path, "https://other.example.com") is None
    assert await allowed(f"{link}/events", SHOP, "OPTIONS") == SHOP
    for path in ("/v1/tasks", "/v1/emails", "/healthz", "/v1/events"):
        assert await allowed(path, SHOP) is None
        assert await allowed(path, SHOP, "OPTIONS") is None


async def test_the_page_needs_no_script_and_renews_itself_until_the_end(gateway: Served) -> None:
    task_id, link = await posted(gateway, await key_in(gateway, Scope.SUBMIT))
    await gateway.happened(reported(STARTED, task_id), reported(PROGRESS, task_id, text="<b>page</b>"))
    running = await gateway.client.get(f"{link}/page")
    waiting = asyncio.create_task(gateway.client.get(f"{link}/page", params={"wait": 5}))
    await eventually(lambda: gateway.measured("waybill_watchers", watched="link") == 1)
    await gateway.happened(reported(COMPLETED, task_id))
    done = await waiting

    assert running.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in running.headers["content-security-policy"]
    assert '<meta http-equiv="refresh" content="1; url=?wait=5">' in running.text
    assert "&lt;b&gt;page&lt;/b&gt;" in running.text
    assert 'data-state="completed"' in done.text
    assert "refresh" not in done.text


async def test_a_token_is_in_no_log_and_no_metric(gateway: Served, capfd: pytest.CaptureFixture[str]) -> None:
    _, link = await posted(gateway, await key_in(gateway, Scope.SUBMIT))
    metrics = await key_in(gateway, Scope.METRICS)
    token = link.rpartition("/")[2]
    for path in (link, f"{link}/page", f"{link}0", f"{link}/nowhere"):
        await gateway.client.get(path)
    shown: httpx.Response = await gateway.client.get("/metrics", headers=metrics)

    assert 'route="/v1/watch/{token}"' in shown.text
    assert token not in shown.text
    assert token not in "".join(capfd.readouterr())
