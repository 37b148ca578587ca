"""The frame of the page: sessions, forms, scopes, prefixes, files of others. See also tests/pages."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from keys_under_test import id_of, key_in

from waybill_contracts.states import State
from waybill_gateway import ui
from waybill_gateway.auth import needed_by
from waybill_gateway.desk import GroupView
from waybill_gateway.stats import Looks
from waybill_gateway.ui.frame import formats
from waybill_gateway.ui.frame.page_route import PageRoute
from waybill_gateway.words import duration
from waybill_ledger import (
    Measurement,
    OpenWork,
    QueueMeasured,
    Scope,
    Submission,
    accept,
    store_measurements,
)
from waybill_testkit.gateway.in_process import EMAIL, Gateway, problem, running
from waybill_testkit.samples import NOON, email_event, new_task

STATIC = Path(ui.__file__).parent / "static"


@pytest.fixture
def database_system() -> str:
    """Nothing here depends on it."""
    return "sqlite"


@pytest.fixture
async def keyed(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, gateway_auth="keys") as started:
        yield started


def token_in(page: httpx.Response) -> str:
    found = re.search(r'name="form_token" value="(\w+)"', page.text)
    assert found is not None, page.text
    return found[1]


async def signed_in(gateway: Gateway, *scopes: Scope) -> dict[str, str]:
    """Signs in; returns the header of the key."""
    key = await key_in(gateway, *scopes)
    form = {
        "key": key["Authorization"].split()[1],
        "form_token": token_in(await gateway.client.get("/ui/sign-in")),
    }
    answer = await gateway.client.post("/ui/sign-in", data=form)
    assert answer.status_code == 303, answer.text
    return key


def actions() -> list[PageRoute]:
    """Routes that change something, or show what is sealed."""
    return [
        route
        for module in ui.PAGES
        for route in module.router.routes
        if isinstance(route, PageRoute) and route.methods == {"POST"} and needed_by(route.name)
    ]


async def test_a_session_ends_with_its_key(keyed: Gateway) -> None:
    key = await signed_in(keyed, Scope.READ)
    assert (await keyed.client.get("/ui/tasks")).status_code == 200
    admin = await key_in(keyed, Scope.ADMIN)
    await keyed.client.delete(f"/v1/keys/{id_of(key)}", headers=admin)
    answer = await keyed.client.get("/ui/tasks")
    assert (answer.status_code, answer.headers["location"]) == (303, "../ui/sign-in?next=%2Fui%2Ftasks")


async def test_a_session_is_no_key_of_the_api(keyed: Gateway) -> None:
    await signed_in(keyed, Scope.READ)
    problem(await keyed.client.get("/v1/tasks"), 401, "key_missing")


async def test_what_a_page_shows_is_kept_nowhere(keyed: Gateway) -> None:
    await signed_in(keyed, Scope.READ)
    answer = await keyed.client.get("/ui/tasks")
    assert answer.headers["cache-control"] == "no-store"
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", answer.headers["content-security-policy"])
    assert nonce is not None
    assert set(re.findall(r'nonce="([^"]*)"', answer.text)) == {nonce[1]}
    again = await keyed.client.get("/ui/tasks")
    assert nonce[1] not in again.headers["content-security-policy"]


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_a_form_of_another_site_does_nothing(keyed: Gateway, headers: dict[str, str]) -> None:
    await signed_in(keyed, Scope.READ)
    page = await keyed.client.get("/ui/tasks")
    form = {"form_token": token_in(page) if headers else "0" * 64}
    assert (await keyed.client.post("/ui/sign-out", data=form, headers=headers)).status_code == 403
    assert (await keyed.client.get("/ui/tasks")).status_code == 200
    own = {"form_token": token_in(page)}
    assert (
        await keyed.client.post("/ui/sign-out", data=own, headers={"Sec-Fetch-Site": "same-origin"})
    ).is_redirect
    assert (await keyed.client.get("/ui/tasks")).is_redirect


async def test_a_form_of_another_session_does_nothing(keyed: Gateway) -> None:
    await signed_in(keyed, Scope.READ)
    token = token_in(await keyed.client.get("/ui/tasks"))
    await keyed.client.post("/ui/sign-out", data={"form_token": token})
    await signed_in(keyed, Scope.READ)
    assert (await keyed.client.post("/ui/sign-out", data={"form_token": token})).status_code == 403


async def test_a_key_that_may_read_is_refused_each_action(keyed: Gateway) -> None:
    await signed_in(keyed, Scope.READ)
    token = token_in(await keyed.client.get("/ui/tasks"))
    assert len(actions()) > 10
    for route in actions():
        answer = await keyed.client.post(re.sub(r"\{\w+\}", "1", route.path), data={"form_token": token})
        assert answer.status_code == 403, route.path
        assert "does not allow" in answer.text, route.path


async def test_an_error_is_a_page_in_the_words_of_the_api(gateway: Gateway) -> None:
    answer = await gateway.client.get("/ui/tasks", params={"kind": "no.such.kind"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "text/html; charset=utf-8")
    assert "There is no such kind. Known:" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_fields_that_are_not_filled_in_do_not_count(gateway: Gateway) -> None:
    await gateway.post("/v1/emails", EMAIL)
    answer = await gateway.client.get("/ui/tasks?q=&state=&kind=&service=email&within=")
    assert answer.status_code == 200
    assert answer.text.count("data-row") == 1


@pytest.mark.parametrize(
    "path",
    [
        *("/ui", "/ui/tasks", "/ui/tasks?state=bogus", "/ui/failures", "/ui/redrives", "/ui/sign-in"),
        *("/ui/letters", "/ui/kinds", "/ui/kinds/email.requested", "/ui/kinds/email.requested/new"),
        *(
            "/ui/services/email",
            "/ui/schedules",
            "/ui/schedules/new",
            "/ui/accounting",
            "/ui/audit",
            "/ui/keys",
        ),
    ],
)
async def test_links_stay_behind_the_prefix_of_a_proxy(gateway: Gateway, path: str) -> None:
    page = await gateway.client.get(path)
    assert page.status_code in {200, 422}
    for link in links_in(page.text):
        assert urljoin(f"http://proxy/ops{path}", link).startswith("http://proxy/ops/"), link
        inside = urljoin(f"http://gateway{path}", link)
        answer = await gateway.client.get(inside)
        assert answer.status_code in {200, 303, 405}, inside


def links_in(text: str) -> set[str]:
    found: set[str] = set()

    class Links(HTMLParser):
        def handle_starttag(self, _tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.update(
                value for name, value in attributes if name in {"href", "src", "action", "hx-get"} and value
            )

    Links().feed(text)
    return {link for link in found if not link.startswith("#")}


async def test_files_of_the_page_are_there_for_ever_under_the_address_of_their_content(
    gateway: Gateway,
) -> None:
    page = await gateway.client.get("/ui/sign-in")
    files = {link for link in links_in(page.text) if "/static/" in link}
    assert len(files) == 5
    for link in files:
        answer = await gateway.client.get(urljoin("http://gateway/ui/sign-in", link))
        assert "immutable" in answer.headers["cache-control"]
    problem(await gateway.client.get("/ui/static/000000000000/page.css"), 404, "not_found")


def test_files_of_others_are_those_that_their_list_names() -> None:
    text = (STATIC / "vendor" / "README.md").read_text()
    listed = dict(re.findall(r"^\| `([^`]+)` .* `(\w{64})` \|$", text, re.MULTILINE))
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (STATIC / "vendor").iterdir()
        if path.suffix != ".md"
    }
    assert there == listed


def test_nothing_of_ours_names_another_host() -> None:
    ours = [*STATIC.glob("*.*"), *(STATIC.parent / "templates").rglob("*.html")]
    assert len(ours) > 5
    named = {
        (path.name, host) for path in ours for host in re.findall(r"https?://[\w./-]+", path.read_text())
    }
    assert named == {("mark.svg", "http://www.w3.org/2000/svg")}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0004, "0 ms"),
        (0.25, "250 ms"),
        (3.21, "3.2 s"),
        (59.4, "59 s"),
        (192, "3 min 12 s"),
        (7500, "2 h 5 min"),
        (86_400, "1 d"),
        (360_000, "4 d 4 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.3, "now"), (12, "12 s ago"), (7199, "1 h ago"), (-300, "in 5 min"), (40 * 86_400, "2026-01-20")],
)
def test_times_are_relative_and_have_the_absolute_one(seconds: float, words: str) -> None:
    shown = formats.ago(NOON - timedelta(seconds=seconds), NOON)
    assert f">{words}</time>" in shown
    assert 'title="2026-' in shown
    assert ' UTC"' in shown


def test_text_that_reorders_or_hides_is_written_out() -> None:
    assert formats.visible("a\u202eb\u200bc\x1b[0m") == "a[U+202E]b[U+200B]c[U+001B][0m"
    assert formats.visible("två\n\tlines") == "två\n\tlines"


def test_a_large_payload_is_cut_with_its_size() -> None:
    assert formats.json_text("x" * 1_000_000).endswith("… cut: 1,000,002 characters in all")


async def test_the_page_of_a_task_that_has_waited_for_long_is_renewed_less_often(gateway: Gateway) -> None:
    now = gateway.resources.records.now()
    for minutes, seconds in ((0, 3), (2, 6), (60, 30)):
        task = new_task(email_event(), created_at=now - timedelta(minutes=minutes))
        await gateway.resources.records.write(accept, Submission(task))
        page = await gateway.client.get(f"/ui/tasks/{task.id}")
        assert f'data-live="{seconds}"' in page.text, minutes


async def test_queues_without_a_consumer_and_what_is_left_in_the_outbox_are_shown(gateway: Gateway) -> None:
    now = gateway.resources.records.now()
    queues = {"sync.work": QueueMeasured(1200, 0), "email.work": QueueMeasured(0, 3)}
    work = {"default": [OpenWork("sync", State.PENDING, 1200, now, 0)]}
    measurement = Measurement(at=now, work=work, gaps={}, queues=queues, unpublished=17)
    await gateway.resources.records.write(store_measurements, measurement)
    page = await gateway.client.get("/ui/queues")
    assert '<code>sync.work</code></th><td class="number" data-label="Messages">1,200</td>' in page.text
    assert page.text.count('<span class="bad">none</span>') == 1
    assert "17 due tasks are not known to be at the broker" in page.text


async def test_queues_that_were_not_measured_yet_are_not_made_up(gateway: Gateway) -> None:
    assert "has measured nothing yet" in (await gateway.client.get("/ui/queues")).text


async def test_the_overview_is_calm_only_once_all_was_looked_at(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(gateway.resources.relay), "is_connected", True)
    await gateway.resources.records.write(store_measurements, Measurement(at=gateway.resources.records.now()))
    go_on = asyncio.Event()

    async def wait(*_: object) -> list[GroupView]:
        await go_on.wait()
        return []

    monkeypatch.setattr(Looks, "_groups", wait)
    page = (await gateway.client.get("/ui")).text
    assert "Failures and open work are being looked at." in page
    assert "Nothing needs you." not in page
    go_on.set()
    assert "Nothing needs you." in (await gateway.client.get("/ui")).text
