"""The pins in requirements/ satisfy what each member declares; checked without a network."""

import re
import tomllib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
DEPLOYABLES = {name: name for name in ("gateway", "cli", "sdk", "deploy", "devstack")} | {
    path.parent.name: f"services/{path.parent.name}" for path in ROOT.glob("services/*/pyproject.toml")
}
#: Those whose pins are for what more than the plain distribution needs.
EXTRAS = {"sdk": ("service",)}


def pins(name: str) -> dict[str, set[str]]:
    """Package to its pinned versions: more than one where they differ by platform."""
    found: dict[str, set[str]] = {}
    for line in (REQUIREMENTS / f"{name}.txt").read_text().splitlines():
        if match := re.match(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", line):
            found.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return found


def declared(folder: Path, extras: Iterable[str] = ()) -> list[Requirement]:
    return [each for each in requirements_of(folder, extras) if not is_own(each)]


def requirements_of(folder: Path, extras: Iterable[str] = ()) -> list[Requirement]:
    """What a member needs, with these extras; `*` stands for all of them."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    optional = project.get("optional-dependencies", {})
    chosen = optional if "*" in extras else extras
    return [Requirement(text) for text in [*project["dependencies"], *chain(*(optional[e] for e in chosen))]]


def is_own(requirement: Requirement) -> bool:
    return requirement.name == "waybill" or requirement.name.startswith("waybill-")


def unmet(requirements: list[Requirement], pinned: dict[str, set[str]]) -> list[str]:
    return [
        str(requirement)
        for requirement in requirements
        if not (versions := pinned.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version, prereleases=True) for version in versions)
    ]


def all_needed(folder: Path, extras: Iterable[str] = ()) -> list[Requirement]:
    """What others publish of what a member needs, itself and by those of ours that it needs, near and far."""
    found = declared(folder, extras)
    for each in filter(is_own, requirements_of(folder, extras)):
        found += all_needed(folder_of(each), each.extras)
    return found


def folder_of(own: Requirement) -> Path:
    name = "sdk" if own.name == "waybill" else own.name.removeprefix("waybill-")
    return ROOT / name if (ROOT / name).exists() else ROOT / "services" / name


MEMBERS = [path.parent for path in [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda path: path.name)
def test_development_pins_satisfy_each_member(member: Path) -> None:
    assert unmet(declared(member, "*"), pins("dev")) == [], "run `make lock`"


@pytest.mark.parametrize("member", MEMBERS, ids=lambda path: path.name)
def test_members_of_one_version_need_each_other(member: Path) -> None:
    def version_of(folder: Path) -> str:
        return str(tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"])

    own = [each for each in requirements_of(member, "*") if is_own(each)]
    assert {str(each.specifier) for each in own} <= {f"=={version_of(member)}"}
    assert {version_of(folder_of(each)) for each in own} <= {version_of(member)}


def test_development_pins_satisfy_the_checks() -> None:
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    assert unmet([Requirement(text) for text in group], pins("dev")) == [], "run `make lock`"


def test_what_is_compared_has_its_pins_and_ours() -> None:
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["bench"]
    needed = [Requirement(text) for text in group] + [r for member in MEMBERS for r in declared(member)]
    assert unmet(needed, pins("bench")) == [], "run `make lock`"


@pytest.mark.parametrize("deployable", DEPLOYABLES)
def test_a_deployable_has_what_it_and_its_members_declare(deployable: str) -> None:
    needed = all_needed(ROOT / DEPLOYABLES[deployable], EXTRAS.get(deployable, ()))
    assert unmet(needed, pins(deployable)) == [], "run `make lock`"


@pytest.mark.parametrize(
    "deployable",
    [name for name, path in DEPLOYABLES.items() if name == "gateway" or path.startswith("services/")],
)
def test_what_runs_can_be_traced(deployable: str) -> None:
    project = tomllib.loads((ROOT / "worker" / "pyproject.toml").read_text())["project"]
    traces = [Requirement(text) for text in project["optional-dependencies"]["traces"]]
    assert unmet(traces, pins(deployable)) == [], "run `make lock`"


@pytest.mark.parametrize("deployable", DEPLOYABLES)
def test_what_ships_is_what_was_tested(deployable: str) -> None:
    development = pins("dev")
    assert {name: v for name, v in pins(deployable).items() if v != development.get(name)} == {}


def test_what_is_measured_is_what_ships() -> None:
    measured = pins("bench")
    assert {name: v for name, v in pins("gateway").items() if v != measured.get(name)} == {}


@pytest.mark.parametrize("path", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda path: path.stem)
def test_pins_have_hashes_and_no_addresses(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=[A-Za-z0-9])", text):
        if re.match(r"^[A-Za-z0-9]", entry):
            assert "--hash=sha256:" in entry, entry.splitlines()[0]
