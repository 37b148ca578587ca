"""Every service has the same files, so that a reader of one knows where to look in all."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path for path in (ROOT / "services").iterdir() if (path / "pyproject.toml").exists())
#: Longest source file; most are far shorter.
MAX_LINES = 400
#: Modules in one folder, `__init__` among them; more are several rooms in one.
MAX_MODULES = 15
#: `__main__` configures and runs, nothing else.
MAX_MAIN_LINES = 15


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_a_service_has_its_files(service: Path) -> None:
    package = service / "src" / f"waybill_{service.name}"
    for name in ("__main__.py", "app.py", "handlers.py", "settings.py"):
        assert (package / name).is_file(), f"{package / name} is missing"
    assert (service / "README.md").is_file()
    assert list((service / "tests").rglob("test_*.py"))
    assert len((package / "__main__.py").read_text().splitlines()) <= MAX_MAIN_LINES


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_handlers_know_no_broker(service: Path) -> None:
    text = (service / "src" / f"waybill_{service.name}" / "handlers.py").read_text()
    for library in ("faststream", "aio_pika", "aiormq"):
        assert library not in text


def test_files_stay_short() -> None:
    sources = [
        *ROOT.glob("*/src/**/*.py"),
        *ROOT.glob("services/*/src/**/*.py"),
        *ROOT.glob("bench/**/*.py"),
    ]
    tests = [path for path in ROOT.glob("**/tests/**/*.py") if not {".venv", ".venv-bench"} & set(path.parts)]
    long = {
        str(path.relative_to(ROOT)): lines
        for path in [*sources, *tests]
        if (lines := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert long == {}


def test_no_folder_holds_more_modules_than_a_reader_overlooks() -> None:
    programs = (ROOT / "bench", ROOT / "tests" / "crash", ROOT / "tests" / "soak")
    folders = Counter(
        path.parent for base in (*ROOT.glob("**/src"), *programs) for path in base.glob("**/*.py")
    )
    crowded = {
        str(folder.relative_to(ROOT)): modules
        for folder, modules in folders.items()
        if modules > MAX_MODULES
        # Migrations: a chain that only grows, never read as a whole.
        and not {"migrations", ".venv", ".venv-bench"} & set(folder.parts)
    }
    assert crowded == {}


@pytest.mark.parametrize(
    "room",
    sorted(
        path.parent
        for path in [*ROOT.glob("*/src/*/*/**/__init__.py"), *ROOT.glob("services/*/src/*/*/**/__init__.py")]
        if "migrations" not in path.parts
    ),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_a_room_says_what_it_is_for(room: Path) -> None:
    assert ast.get_docstring(ast.parse((room / "__init__.py").read_text()))
