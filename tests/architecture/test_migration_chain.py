"""Migrations are one chain, in the order of their names: those of two changes must not have one number."""

import ast
import importlib.util
import re
from pathlib import Path

from alembic.util import template_to_file

VERSIONS = (
    Path(__file__).resolve().parents[2] / "ledger" / "src" / "waybill_ledger" / "migrations" / "versions"
)
_REVISION = re.compile(r'^revision = "(\d{4})"$', re.MULTILINE)
_BEFORE = re.compile(r'^down_revision = (?:"(\d{4})"|None)$', re.MULTILINE)


def test_each_migration_follows_the_one_before() -> None:
    before = None
    for path in sorted(VERSIONS.glob("[0-9]*.py")):
        text = path.read_text()
        revision, follows = _REVISION.search(text), _BEFORE.search(text)
        assert revision is not None
        assert follows is not None
        assert path.name.startswith(f"{revision[1]}_")
        assert follows[1] == before, path.name
        before = revision[1]


def test_a_new_migration_imports_what_there_is(tmp_path: Path) -> None:
    made = tmp_path / "0099_new.py"
    template_to_file(
        str(VERSIONS.parent / "script.py.mako"),
        str(made),
        "utf-8",
        message="new",
        up_revision="0099",
        down_revision="0098",
        upgrades=None,
    )
    module = ast.parse(made.read_text())
    names = {
        alias.name for node in ast.walk(module) if isinstance(node, ast.Import) for alias in node.names
    } | {node.module for node in ast.walk(module) if isinstance(node, ast.ImportFrom) and node.module}
    assert "sqlalchemy" in names
    for name in names:
        spec = importlib.util.find_spec(name)
        # A folder of the repository is no package, though Python can import it from here.
        assert spec is not None, name
        assert spec.origin is not None, name
