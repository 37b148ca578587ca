"""A person at a gateway's pages, without a browser: forms are sent as a page without scripts sends them."""

import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from waybill_testkit.gateway.in_process import Gateway


class _Forms(HTMLParser):
    """The forms of a page: where each leads, and what its fields hold."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._text: str | None = None
        self._choice: str | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "form":
            self.found.append((given.get("action") or "", {}))
        if not self.found:
            return
        fields, name = self.found[-1][1], given.get("name")
        if tag == "input" and name and (given.get("type") != "checkbox" or "checked" in given):
            fields[name] = given.get("value") or ""
        elif tag == "textarea" and name:
            self._text, fields[name] = name, ""
        elif tag == "select" and name:
            self._choice, fields[name] = name, ""
        elif tag == "option" and self._choice and "selected" in given:
            fields[self._choice] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._text = None
        elif tag == "select":
            self._choice = None

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self.found[-1][1][self._text] += data.removeprefix("\n")


async def filled(gateway: Gateway, path: str, action: str, **changes: str) -> tuple[str, dict[str, str]]:
    """The form of a page whose action ends so: its address, and its fields with some filled in."""
    page = await gateway.client.get(path)
    assert page.status_code == 200, text_of(page)
    parser = _Forms()
    parser.feed(page.text)
    [(leads_to, fields)] = [each for each in parser.found if each[0].endswith(action)]
    return urljoin(str(page.url), leads_to), fields | changes


async def sent(gateway: Gateway, path: str, action: str, **changes: str) -> httpx.Response:
    """The answer to the form of a page."""
    address, fields = await filled(gateway, path, action, **changes)
    return await gateway.client.post(address, data=fields)


async def followed(gateway: Gateway, answer: httpx.Response) -> httpx.Response:
    """The page that an answer leads to."""
    assert answer.status_code == 303, text_of(answer)
    return await gateway.client.get(urljoin(str(answer.url), answer.headers["location"]))


def text_of(page: httpx.Response) -> str:
    """What a page says, on one line."""
    main = page.text.partition("<main")[2]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main)).split())
