"""Small rules that no linter knows."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")])
#: Words that say nothing about what a module is for.
EMPTY_NAMES = {"common", "utils", "util", "helpers", "misc"}


def test_module_names_say_something() -> None:
    assert [path for path in SOURCES if path.stem in EMPTY_NAMES] == []


def test_no_unfinished_work() -> None:
    assert [path for path in SOURCES if "TODO" in path.read_text()] == []
    unfinished = [
        path
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Name) and node.id == "NotImplementedError"
    ]
    assert unfinished == []


def test_log_events_are_constants() -> None:
    # They are not masked (`waybill_worker.observe.logs`): what a task has brought is in other fields.
    composed = [
        f"{path}: {ast.unparse(call)}"
        for path in SOURCES
        for call in log_calls(path)
        if call.args and not isinstance(call.args[0], ast.Constant)
    ]
    assert composed == []


def test_errors_are_logged_with_their_types() -> None:
    # The error itself is given (`waybill_worker.observe.logs` describes it): a KeyError's text is `'nope'`.
    texts = [
        f"{path}: {ast.unparse(call)}"
        for path in SOURCES
        for call in log_calls(path)
        for keyword in call.keywords
        if ast.unparse(keyword.value) in {"str(error)", "str(caught)"}
    ]
    assert texts == []


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def log_calls(path: Path) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(parsed(path))
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


def test_processes_that_decode_images_import_little() -> None:
    # Each of them would take 50 MB and most of a second more.
    heavy = {"fastapi", "faststream", "pydantic", "sqlalchemy", "structlog", "uvicorn"}
    code = (
        "import sys; "
        "import waybill_gateway.probe.worker, waybill_images.render, waybill_worker.worker_pool.process; "
        f"print(*{heavy!r} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
