"""Small rules that no linter knows."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")])
#: Words that say nothing about what a module is for.
EMPTY_NAMES = {"common", "utils", "util", "helpers", "misc"}


def test_module_names_say_something() -> None:
    assert [path for path in SOURCES if path.stem in EMPTY_NAMES] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_unfinished_work(path: Path) -> None:
    tree = ast.parse(path.read_text())
    raised = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "NotImplementedError"]
    assert raised == []
    assert "TODO" not in path.read_text()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_happened_is_logged_in_words_of_the_code(path: Path) -> None:
    # They are not masked (`waybill_worker.observe.logs`): what a task has brought is in other fields.
    calls = [call for call in log_calls(path) if call.args]
    assert [ast.unparse(call) for call in calls if not isinstance(call.args[0], ast.Constant)] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_errors_are_logged_with_their_types(path: Path) -> None:
    # The error itself is given (`waybill_worker.observe.logs` describes it): a KeyError's text is `'nope'`.
    texts = [
        keyword.value.args[0]
        for call in log_calls(path)
        for keyword in call.keywords
        if isinstance(keyword.value, ast.Call) and ast.unparse(keyword.value.func) == "str"
    ]
    assert [ast.unparse(text) for text in texts if ast.unparse(text) in {"error", "caught"}] == []


def log_calls(path: Path) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "log"
    ]


def test_importing_a_service_reads_no_environment_and_opens_nothing() -> None:
    # An empty environment and an empty folder: whatever an import needed from either would be missing.
    apps = [path.parent.name + ".app" for path in SOURCES if path.name == "app.py"]
    code = "import " + ", ".join(apps)
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
