"""One Chromium and one gateway for all tests of the page; a fresh session for each."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.pages.ledger import Seeded, seed
from waybill_testkit.browser import NoBrowserError, chromium_program
from waybill_testkit.gateway.served import served

#: Tasks beside those that show something: more than one page of them.
MORE = 60
#: What a page may wait for.
PATIENCE_MS = 20_000
#: Written to the console by a page whose policy is violated, and nowhere else.
VIOLATION = "violates the policy:"
_REPORT_VIOLATIONS = f"""
document.addEventListener("securitypolicyviolation", (event) =>
  console.error("{VIOLATION}", event.violatedDirective, event.blockedURI, event.sample));
"""


@dataclass(frozen=True)
class Site:
    """A gateway with something of everything in its ledger."""

    url: str
    seeded: Seeded

    def address(self, path: str) -> str:
        """The address of a path; `{name}` in it is the id of this name."""
        return self.url + path.format_map(self.seeded.ids)


@dataclass
class Visit:
    """A browser's session at a site."""

    site: Site
    page: Page
    #: What went wrong in the page: violations of its policy, errors of scripts.
    faults: list[str] = field(default_factory=list)
    #: Hosts that it has asked.
    hosts: set[str] = field(default_factory=set)

    def go(self, path: str) -> Page:
        """Opens a path of the site."""
        self.page.goto(self.site.address(path))
        return self.page

    def sign_in(self, name: str) -> None:
        """Signs in with the key of this name."""
        self.go("/ui/sign-in")
        self.page.fill("[name=key]", self.site.seeded.tokens[name])
        self.page.click("text=Sign in >> nth=-1")

    def heard(self, message: ConsoleMessage) -> None:
        """Keeps errors; that an answer had an error's status is no fault of the page."""
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(message.text)


Visiting = Callable[..., Visit]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The installed Chromium, else that of the package manager."""
    try:
        program = chromium_program()
    except NoBrowserError as error:
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        # Its sandbox needs rights that containers and root do not give; what it opens is ours.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gateway that asks for keys."""
    yield from _site(tmp_path_factory.mktemp("site"), "keys")


@pytest.fixture(scope="package")
def open_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gateway on which each caller may do everything."""
    yield from _site(tmp_path_factory.mktemp("open-site"), "open")


def _site(folder: Path, auth: str) -> Iterator[Site]:
    with served(folder, gateway_auth=auth) as gateway:
        yield Site(gateway.url, _seeded(gateway.ledger_url))


def _seeded(url: str) -> Seeded:
    # Playwright keeps a loop running in this thread.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, seed(url, more=MORE)).result()


@pytest.fixture
def visit(chromium: Browser, site: Site) -> Iterator[Visiting]:
    """Begins sessions; a page that violates its policy, or asks another host, fails the test."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    def begin(name: str | None = "operator", at: Site = site, **options: object) -> Visit:
        context = chromium.new_context(**options)  # type: ignore[arg-type] # as the caller names them
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(_REPORT_VIOLATIONS)
        begun = Visit(at, context.new_page())
        visits.append(begun)
        begun.page.on("console", begun.heard)
        begun.page.on("pageerror", lambda error: begun.faults.append(str(error)))
        begun.page.on("request", lambda request: begun.hosts.add(urlsplit(request.url).netloc))
        if name is not None:
            begun.sign_in(name)
        return begun

    yield begin
    for context in contexts:
        context.close()
    assert [fault for each in visits for fault in each.faults] == []
    assert {host for each in visits for host in each.hosts} <= {
        urlsplit(each.site.url).netloc for each in visits
    }
