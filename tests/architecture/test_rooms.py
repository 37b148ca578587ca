"""Rooms, the folders of modules below `src`: what they may import of each other.

A room's `__init__` exports, with `__all__`, what other rooms may use; its modules are private to it (mypy
holds the names to `__all__`). Modules in a member's root folder are shared by the rooms of that member, and
by other members too, unless the root exports what these may use.
"""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(
    init.parent for init in [*ROOT.glob("*/src/*/__init__.py"), *ROOT.glob("services/*/src/*/__init__.py")]
)


def dotted(path: Path, source: Path) -> str:
    name = ".".join(path.relative_to(source).with_suffix("").parts)
    return name.removesuffix(".__init__")


#: Every module and package of ours, by its dotted name.
MODULES = {dotted(path, package.parent): path for package in PACKAGES for path in package.rglob("*.py")}


def is_room(name: str) -> bool:
    return MODULES[name].name == "__init__.py"


def room_of(name: str) -> str:
    return name if is_room(name) else name.rpartition(".")[0]


def member_of(name: str) -> str:
    return name.partition(".")[0]


def is_public_module(name: str) -> bool:
    """Whether a module is in the root folder of a member that exports nothing itself."""
    return room_of(name) == member_of(name) and not exports(member_of(name))


@cache
def exports(room: str) -> set[str]:
    """What a room's `__all__` names."""
    return {
        name
        for node in ast.parse(MODULES[room].read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for name in ast.literal_eval(node.value)
    }


def imported_by(name: str) -> Iterator[str]:
    """What of ours a module imports, wherever in it: modules, and rooms whose exports it uses."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield module if module in MODULES and alias.name not in exports(node.module) else node.module


def test_an_import_from_another_room_names_the_room() -> None:
    private = [
        f"{importer} imports {imported}"
        for importer in MODULES
        for imported in imported_by(importer)
        if not is_room(imported)
        and room_of(imported) != room_of(importer)
        and room_of(imported) != member_of(importer)
        and not is_public_module(imported)
    ]
    assert private == []


def test_rooms_form_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for importer in MODULES:
        for imported in imported_by(importer):
            above, below = _node(importer), _node(imported)
            if above != below:
                graph.setdefault(above, set()).add(below)
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(" -> ".join(reversed(error.args[1]))) from None
    assert "waybill_gateway.http" in order


def _node(name: str) -> str:
    """A room; modules of a member's root folder, which its rooms share, stand for themselves."""
    return name if room_of(name) == member_of(name) else room_of(name)
