"""Documents name files, modules, headings and log lines that exist."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.test_import_direction import MAY_IMPORT

ROOT: Final = Path(__file__).resolve().parents[2]
TRACKED: Final = [
    Path(line)
    for line in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    if (ROOT / line).exists()
]
DOCUMENTS: Final = sorted(path for path in TRACKED if path.suffix == ".md")
#: Every module as documents may write it: with the folders of its member in front, or without.
MODULES: Final = frozenset(path.as_posix() for path in TRACKED if path.suffix == ".py")
#: Documents for operators, who search their logs for lines quoted there.
OPERATING: Final = ("deploy.md", "retention.md", "runbook.md")
#: Quoted lines that are not ours: RabbitMQ's.
OF_OTHERS: Final = {"leader not known"}
ARCHITECTURE: Final = (ROOT / "docs" / "architecture.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    text = (ROOT / document).read_text()
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if not leads_somewhere(document, link)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_modules_that_are_named_exist(document: Path) -> None:
    named = re.findall(r"`([\w…/.*-]+/[\w*]+\.py)(?:::\w+)?`", (ROOT / document).read_text())
    assert [name for name in named if not is_module(document, name)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_dotted_names_are_those_of_packages_modules_or_what_is_in_them(document: Path) -> None:
    named = re.findall(r"`(waybill_\w+(?:\.\w+)*)`", (ROOT / document).read_text())
    assert [name for name in named if "." in name and not is_dotted(name)] == []


@pytest.mark.parametrize(
    "step", list(re.findall(r"^\| (.+?) \| (`.+?\.py`.*) \|$", ARCHITECTURE, re.MULTILINE))
)
def test_the_file_of_each_step_exists(step: tuple[str, str]) -> None:
    assert list(files_of(step[1]))


def test_the_table_of_imports_is_the_one_that_is_enforced() -> None:
    table = ARCHITECTURE.partition("## Who may import whom")[2].partition("\n## ")[0]
    written = {}
    for members, imports in re.findall(r"^\| (`.+?) \| (.+?) \|$", table, re.MULTILINE):
        allowed = None if imports == "all" else {package(name) for name in re.findall(r"`(\w+)`", imports)}
        for member in re.findall(r"`([\w/*]+)`", members):
            written[member.removesuffix("/*")] = allowed
    assert written == {**MAY_IMPORT, "bench": None}


def package(member: str) -> str:
    return "waybill" if member == "sdk" else f"waybill_{member}"


@pytest.mark.parametrize("document", OPERATING)
def test_log_lines_that_are_quoted_exist(document: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / "docs" / document).read_text(), flags=re.DOTALL)
    quoted = {re.split(r" …| '", " ".join(phrase.split()))[0] for phrase in re.findall(r"`([^`]+)`", text)}
    lines = {phrase for phrase in quoted if re.fullmatch(r"(?:[a-z':,]+ ){2,}[a-z':,]+", phrase)}
    program = "\n".join(strings())
    commands = ("docker ", "waybill ", "python ")
    assert [line for line in lines - OF_OTHERS if not line.startswith(commands) and line not in program] == []


def strings() -> Iterator[str]:
    """All strings in the sources of the members."""
    for module in MODULES:
        if "/src/" in module:
            for node in ast.walk(ast.parse((ROOT / module).read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def files_of(cell: str) -> Iterator[str]:
    """The files of one step: a name without folders is in the folder of the one before."""
    folder = ""
    for name in re.findall(r"`([^`]+\.py)`", cell):
        path = name if "/" in name else f"{folder}/{name}"
        assert is_module(Path("docs/architecture.md"), path), path
        folder = path.rpartition("/")[0]
        yield path


def is_module(document: Path, name: str) -> bool:
    """Whether a tracked file ends with this path; folders may be left out in front and at `…`, or be `*`."""
    start, _, rest = name.partition("/…/")
    if rest:
        return any(path.startswith(f"{start}/src/") and path.endswith(f"/{rest}") for path in MODULES)
    pattern = re.compile(re.escape(name).replace(r"\*", r"[^/]+"))
    member = document.parent.as_posix()
    return any(
        pattern.fullmatch(spelling)
        for path in MODULES
        for spelling in spellings(path, "" if member == "." else f"{member}/")
    )


def spellings(path: str, member: str) -> Iterator[str]:
    yield path
    if member and path.startswith(member):
        yield path.removeprefix(member)
    if match := re.fullmatch(r"((?:services/)?(\w+))/src/(\w+)/(.+)", path):
        folder, last, package, rest = match.groups()
        yield f"{folder}/{rest}"
        yield f"{last}/{rest}"
        yield f"{package}/{rest}"
        if member == f"{folder}/":
            yield rest


def is_dotted(name: str) -> bool:
    path = name.replace(".", "/")
    parent, _, last = path.rpartition("/")
    if any(f"/src/{path}{end}" in f"/{module}" for end in (".py", "/__init__.py") for module in MODULES):
        return True
    ends = (f"/src/{parent}.py", f"/src/{parent}/__init__.py")
    holders = [module for module in MODULES if f"/{module}".endswith(ends)]
    return any(re.search(rf"\b{last}\b", (ROOT / holder).read_text()) for holder in holders)


def leads_somewhere(document: Path, link: str) -> bool:
    file, _, anchor = link.partition("#")
    target = ROOT / document if not file else (ROOT / document.parent / file).resolve()
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text())


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


MEMBERS_WITH_ROOMS: Final = ("gateway", "worker", "ledger")


@pytest.mark.parametrize("member", MEMBERS_WITH_ROOMS)
def test_the_document_of_a_member_names_each_of_its_rooms_and_no_other_file(member: str) -> None:
    package = ROOT / member / "src" / f"waybill_{member}"
    text = (ROOT / member / "README.md").read_text()
    rooms = {init.parent.name for init in package.glob("*/__init__.py")} - {"migrations"}
    assert {room for room in rooms if f"{room}/" not in text} == set()
    named = set(re.findall(r"`(?:[\w/]*/)?(\w+\.py)`", text))
    assert named - {path.name for path in package.rglob("*.py")} == set()
