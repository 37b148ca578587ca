"""The examples of docs/applications.md, and the first one of the README, work as they are written."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from reminders import register_service

from waybill import Client
from waybill_testkit.gateway.served import Served, listening

ROOT = Path(__file__).parents[2]
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def client(gateway: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("WAYBILL_URL", gateway.url)
    with Client() as made:
        yield made


def run(text: str, module: ModuleType, source: str) -> dict[str, Any]:
    exec(compile(text, source, "exec"), vars(module))
    return vars(module)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", made)
    return made


def test_the_first_example_of_the_readme_sends_a_mail(client: Client, module: ModuleType) -> None:
    example = PYTHON.findall((ROOT / "README.md").read_text())[0]
    app = run(example, module, "README.md")["app"]

    with listening(app) as url:
        answer = httpx.post(f"{url}/orders/17", params={"email": "ann@example.com"})

    (task,) = client.list()
    assert (answer.status_code, answer.json()) == (200, {"order": "17"})
    assert (task.kind, task.state) == ("email.requested", "pending")
    assert len([line for line in example.splitlines() if line.strip()]) <= 10


def test_the_examples_of_the_page_work(gateway: Served, client: Client, module: ModuleType) -> None:
    defined, submitted, application = PYTHON.findall((ROOT / "docs" / "applications.md").read_text())
    register_service(gateway, run(defined, module, "docs/applications.md")["service"])
    run(submitted.replace('api_key="wb_…"', ""), module, "docs/applications.md")
    app = run(application, module, "docs/applications.md")["app"]

    with listening(app) as url:
        answer = httpx.post(f"{url}/orders/17", params={"email": "ann@example.com"})

    assert answer.json() == {"order": "17"}
    kinds = sorted((task.kind, str(task.state)) for task in client.list())
    assert kinds == [("email.requested", "pending"), ("shop.remind", "pending"), ("shop.remind", "scheduled")]


def test_the_page_names_each_way_to_submit() -> None:
    page = (ROOT / "docs" / "applications.md").read_text()
    ways = ("submit(", "asubmit(", "using(", "submit_in(", "submission(", "schedule(", "event(", "local(")
    assert [way for way in ways if f"remind.{way}" not in page] == []
