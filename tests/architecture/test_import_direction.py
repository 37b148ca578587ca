"""Who may import whom: the table of docs/architecture.md, held against every member that is found."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

#: Member to what it may import of ours; a service may import what `services` may.
MAY_IMPORT = {
    "contracts": set(),
    "database": set(),
    "pictures": {"waybill_contracts"},
    "worker": {"waybill_contracts", "waybill_database"},
    "ledger": {"waybill_contracts", "waybill_database"},
    "gateway": {
        "waybill_contracts",
        "waybill_database",
        "waybill_worker",
        "waybill_ledger",
        "waybill_pictures",
    },
    # The test kit: for waybill.testing alone, with the extra `testing`; the ledger: for waybill.outbox.direct
    # alone, with the extra `direct`.
    "sdk": {"waybill_contracts", "waybill_worker", "waybill_cli", "waybill_testkit", "waybill_ledger"},
    "services/images": {"waybill", "waybill_contracts", "waybill_worker", "waybill_pictures"},
    "services": {"waybill", "waybill_contracts", "waybill_worker"},
    "services/status": {"waybill_contracts", "waybill_database", "waybill_worker", "waybill_ledger"},
    # The client; `waybill.commands` is named, and not imported.
    "cli": {"waybill", "waybill_contracts"},
    "deploy": {"waybill_contracts", "waybill_database", "waybill_worker", "waybill_ledger"},
    "services/deadletters": {"waybill_contracts", "waybill_database", "waybill_worker", "waybill_ledger"},
    "testkit": {
        "waybill_contracts",
        "waybill_database",
        "waybill_worker",
        "waybill_ledger",
        "waybill_gateway",
    },
    "devstack": None,  # the local stack starts them all, so it may know them all
}


def members() -> Iterator[tuple[str, str]]:
    """Each member's folder and its package."""
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    for pattern in globs:
        for folder in sorted(ROOT.glob(pattern)):
            (package,) = (path.name for path in (folder / "src").iterdir() if path.is_dir())
            yield folder.relative_to(ROOT).as_posix(), package


MEMBERS = dict(members())
PACKAGES = frozenset(MEMBERS.values())


@pytest.fixture(scope="session")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*sorted(PACKAGES), cache_dir=None)


def test_the_members_are_found() -> None:
    assert {"contracts", "worker", "gateway", "services/email", "services/status"} <= MEMBERS.keys()


@pytest.mark.parametrize("folder", MEMBERS)
def test_imports_point_the_right_way(folder: str, graph: grimp.ImportGraph) -> None:
    package = MEMBERS[folder]
    allowed = MAY_IMPORT[folder if folder in MAY_IMPORT else folder.split("/", maxsplit=1)[0]]
    if allowed is None:
        return
    imported = {
        target.split(".")[0]
        for module in graph.find_descendants(package) | {package}
        for target in graph.find_modules_directly_imported_by(module)
    }
    assert imported & PACKAGES - {package} <= allowed


@pytest.mark.parametrize("folder", MEMBERS)
def test_a_member_declares_what_it_imports_of_ours(folder: str, graph: grimp.ImportGraph) -> None:
    package = MEMBERS[folder]
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    optional = (name for names in project.get("optional-dependencies", {}).values() for name in names)
    declared = {Requirement(text).name.replace("-", "_") for text in (*project["dependencies"], *optional)}
    imported = {
        target.split(".")[0]
        for module in graph.find_descendants(package) | {package}
        for target in graph.find_modules_directly_imported_by(module)
    }
    assert imported & PACKAGES - {package} <= declared


def test_no_circles(graph: grimp.ImportGraph) -> None:
    circles = [
        (module, imported)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if graph.chain_exists(importer=imported, imported=module)
    ]
    assert circles == []
