"""docs/pains.md and the tests that it names."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: A row of the table: where the pain was seen, and the test.
ROW = re.compile(r"^\|[^|]+\| ([^|]+) \|[^|]+\| `([^`]+)::(test_\w+)` \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "pains.md").read_text())


def test_every_row_of_the_table_names_a_test() -> None:
    lines = [line for line in (ROOT / "docs" / "pains.md").read_text().splitlines() if line.startswith("| ")]
    assert len(ROWS) == len(lines) - 1 >= 20  # the heading


@pytest.mark.parametrize(("seen_at", "path", "name"), ROWS, ids=[row[0] for row in ROWS])
def test_the_test_is_there_and_says_which_pain_it_is_about(seen_at: str, path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    functions = {
        node.name: ast.get_docstring(node) or ""
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in functions
    words = " ".join(functions[name].split())
    assert [reference for reference in seen_at.split(", ") if reference not in words] == []
