"""The examples of docs/client.md work as they are written, one after the other, with a real gateway."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from waybill.client import SubmitOptions
from waybill_testkit.gateway.served import Served

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_run(
    gateway: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)
    monkeypatch.setenv("WAYBILL_URL", gateway.url)
    try:
        for text in EXAMPLES:
            exec(compile(text, "docs/client.md", "exec"), vars(module))
    finally:
        vars(module)["client"].close()

    shown = capsys.readouterr().out
    assert "2 /data/target" in shown
    assert "422 [('/data/id'" in shown


def test_the_page_names_each_option() -> None:
    assert [name for name in SubmitOptions.__annotations__ if f"`{name}`" not in PAGE] == []
