"""The examples of docs/services-api.md work as they are written."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from waybill import Service
from waybill.definition.options import HandlerOptions

PAGE = (Path(__file__).parents[2] / "docs" / "services-api.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: str(text).splitlines()[-1][:40])
def test_an_example_runs(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)
    exec(compile(text, "docs/services-api.md", "exec"), vars(module))

    service = vars(module)["service"]
    assert isinstance(service, Service)
    assert service.manifest().kinds


def test_the_page_names_each_option() -> None:
    assert [name for name in HandlerOptions.__annotations__ if f"`{name}`" not in PAGE] == []
