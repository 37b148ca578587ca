"""A browser without a key follows one task by its link: with a page without scripts, and with the module."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from waybill_contracts.wire import LifecycleEvent, LifecycleType
from waybill_testkit.gateway.in_process import EMAIL
from waybill_testkit.gateway.served import Served, served
from waybill_testkit.samples import reported

STARTED, PROGRESS, COMPLETED = LifecycleType.STARTED, LifecycleType.PROGRESS, LifecycleType.COMPLETED
PATIENCE_MS = 20_000


#: Follows a link, and shows each state in a list, and the end in a paragraph.
FOLLOWING = """<!doctype html><ol></ol><p></p>
<script type="module">
  import { watch } from "GATEWAY/v1/watch.js";
  const onChange = (task) => {
    const line = document.createElement("li");
    line.textContent = `${task.state} ${task.progress?.text ?? ""}`;
    document.querySelector("ol").append(line);
  };
  const end = (text) => { document.querySelector("p").textContent = text; };
  watch("LINK", { onChange }).then(
    (task) => end(`ended ${task.state}`),
    (error) => end(`${error.name} ${error.code}`),
  );
</script>"""


@dataclass
class Shop:
    """A gateway, and an application on another origin."""

    gateway: Served
    origin: str
    #: What the application answers.
    pages: dict[str, str]

    def task(self) -> tuple[str, str]:
        """Id of a new task, and the address of its link."""
        answer = httpx.post(f"{self.gateway.url}/v1/emails", json=EMAIL, trust_env=False).json()
        return answer["id"], self.gateway.url + answer["links"]["watch"]

    def happened(self, *events: LifecycleEvent) -> None:
        """Merges events into the ledger."""
        self.gateway.happened(*events)

    def following(self, link: str) -> str:
        """The address of a page that follows a link."""
        self.pages["/"] = FOLLOWING.replace("GATEWAY", self.gateway.url).replace("LINK", link)
        return self.origin


@contextmanager
def application(pages: dict[str, str]) -> Iterator[str]:
    """The origin of a server with these pages."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Writes nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("links")
    pages: dict[str, str] = {}
    with application(pages) as origin, served(folder, watch_origins=(origin,)) as gateway:
        yield Shop(gateway, origin, pages)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def lines(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("li").all_text_contents()]


def test_a_browser_without_scripts_sees_the_task_end(chromium: Browser, shop: Shop) -> None:
    task_id, link = shop.task()
    context = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{link}/page")
    assert page.text_content("h1") == "Waiting"
    shop.happened(reported(STARTED, task_id), reported(PROGRESS, task_id, text="page 1 of 2"))
    page.wait_for_selector("h1[data-state=running]")
    assert page.text_content("p") == "page 1 of 2"
    assert page.get_attribute("progress", "value") == "0.5"
    shop.happened(reported(COMPLETED, task_id))
    page.wait_for_selector("h1[data-state=completed]")
    assert page.query_selector("meta[http-equiv=refresh]") is None
    context.close()


def test_the_module_follows_a_task_from_a_page_of_another_origin(context: BrowserContext, shop: Shop) -> None:
    task_id, link = shop.task()
    page = context.new_page()
    page.goto(shop.following(link))
    page.wait_for_selector("li >> text=pending")
    shop.happened(reported(STARTED, task_id), reported(PROGRESS, task_id, text="page 1"))
    page.wait_for_selector("li >> text=running page 1")
    shop.happened(reported(COMPLETED, task_id))
    page.wait_for_selector("p >> text=ended completed")

    assert lines(page) == ["pending", "running page 1", "completed"]


def test_the_module_asks_again_and_again_where_there_are_no_streams(
    context: BrowserContext, shop: Shop
) -> None:
    task_id, link = shop.task()
    page = context.new_page()
    page.route("**/events", lambda route: route.fulfill(status=502))
    page.goto(shop.following(link))
    with page.expect_request("**?wait=30"):
        pass
    shop.happened(reported(COMPLETED, task_id))
    page.wait_for_selector("p >> text=ended completed")

    assert lines(page) == ["completed"]


def test_the_module_says_that_a_link_opens_nothing(context: BrowserContext, shop: Shop) -> None:
    _, link = shop.task()
    page = context.new_page()
    page.goto(shop.following(f"{link[:-1]}"))
    page.wait_for_selector("p >> text=WatchError no_such_link")


def test_a_page_of_an_origin_that_is_not_named_reads_nothing(context: BrowserContext, shop: Shop) -> None:
    _, link = shop.task()
    with application({"/": "<!doctype html>"}) as stranger:
        page = context.new_page()
        page.goto(stranger)
        read = page.evaluate("(link) => fetch(link).then(() => 'read', (error) => error.name)", link)
    assert read == "TypeError"
