"""Kinds are data: but for the routes of the built-in kinds, nothing in the core names one, or a service."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from waybill_contracts.registry import built_in_registry

ROOT: Final = Path(__file__).resolve().parents[2]
CORE: Final = (
    *("gateway/src", "ledger/src", "cli/src", "deploy/src", "worker/src"),
    *("services/status/src", "services/deadletters/src"),
)
#: The convenience routes of the built-in kinds, and what they check.
ROUTES: Final = tuple(
    f"gateway/src/waybill_gateway/{room}"
    for room in ("emails", "images", "users", "syncs", "password_resets", "checks.py", "probe")
)
#: What the core may take from the built-in kinds: types of fields, its own processes, mails to operators.
ALLOWED: Final = {
    *("DESK_SERVICE", "STATUS_SERVICE", "OPERATOR_MAIL", "operator_mail", "read_template_params"),
    *("MAX_ADDRESS_LENGTH", "AcceptedAddress", "MailAddress", "OneLine", "TargetName"),
}
OF_KINDS: Final = ("waybill_contracts.kinds", "waybill_contracts.images")
REGISTRY: Final = built_in_registry()


def modules() -> Iterator[Path]:
    for folder in CORE:
        for path in (ROOT / folder).rglob("*.py"):
            place = path.relative_to(ROOT).as_posix()
            if not place.startswith(ROUTES) and "/migrations/" not in place:
                yield path


def is_example(node: ast.AST) -> bool:
    """Whether it is an example for readers of the API."""
    match node:
        case ast.Call(func=ast.Name(id="shown")):
            return True
        case ast.keyword(arg="json_schema_extra"):
            return True
    return False


def named(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Kinds that are named, and services in lists and comparisons."""
    if is_example(node):
        return
    if isinstance(node, ast.Constant) and node.value in REGISTRY.kinds:
        yield node.lineno, str(node.value)
    if isinstance(node, ast.Compare | ast.List | ast.Tuple | ast.Set):
        for each in ast.iter_child_nodes(node):
            if isinstance(each, ast.Constant) and each.value in REGISTRY.services:
                yield each.lineno, str(each.value)
    for child in ast.iter_child_nodes(node):
        yield from named(child)


@pytest.mark.parametrize("folder", CORE)
def test_no_kind_or_service_is_named(folder: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules()
        if path.is_relative_to(ROOT / folder)
        for line, name in named(ast.parse(path.read_text()))
    }
    assert found == set()


def test_only_types_are_taken_from_the_built_in_kinds() -> None:
    taken = {
        f"{path.relative_to(ROOT)}: {name.name}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(OF_KINDS)
        for name in node.names
        if name.name not in ALLOWED
    }
    assert taken == set()


def test_a_kind_that_is_named_is_found() -> None:
    text = 'KINDS = ("email", "other")\nx = kind == "email.requested"\nshown({"kind": "email.requested"})'
    assert [name for _, name in named(ast.parse(text))] == ["email", "email.requested"]
