"""The pins in requirements/ satisfy what each member declares; checked without a network."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
DEPLOYABLES = {name: name for name in ("gateway", "cli", "deploy", "devstack")} | {
    path.parent.name: f"services/{path.parent.name}" for path in ROOT.glob("services/*/pyproject.toml")
}


def pins(name: str) -> dict[str, set[str]]:
    """Package to its pinned versions: more than one where they differ by platform."""
    found: dict[str, set[str]] = {}
    for line in (REQUIREMENTS / f"{name}.txt").read_text().splitlines():
        if match := re.match(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", line):
            found.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return found


def declared(folder: Path) -> list[Requirement]:
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in project["dependencies"] if not is_own(text)]


def is_own(requirement: str) -> bool:
    return requirement == "waybill" or requirement.startswith("waybill-")


def unmet(requirements: list[Requirement], pinned: dict[str, set[str]]) -> list[str]:
    return [
        str(requirement)
        for requirement in requirements
        if not (versions := pinned.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version, prereleases=True) for version in versions)
    ]


def own_members(folder: Path) -> list[Path]:
    """The member itself and those of ours that it needs, near and far."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    found = [folder]
    for text in filter(is_own, project["dependencies"]):
        name = "sdk" if text == "waybill" else text.removeprefix("waybill-")
        found.extend(own_members(ROOT / name if (ROOT / name).exists() else ROOT / "services" / name))
    return found


MEMBERS = [path.parent for path in [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda path: path.name)
def test_development_pins_satisfy_each_member(member: Path) -> None:
    assert unmet(declared(member), pins("dev")) == [], "run `make lock`"


def test_development_pins_satisfy_the_checks() -> None:
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    assert unmet([Requirement(text) for text in group], pins("dev")) == [], "run `make lock`"


def test_what_is_compared_has_its_pins_and_ours() -> None:
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["bench"]
    needed = [Requirement(text) for text in group] + [r for member in MEMBERS for r in declared(member)]
    assert unmet(needed, pins("bench")) == [], "run `make lock`"


@pytest.mark.parametrize("deployable", DEPLOYABLES)
def test_a_deployable_has_what_it_and_its_members_declare(deployable: str) -> None:
    needed = [r for member in own_members(ROOT / DEPLOYABLES[deployable]) for r in declared(member)]
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
