"""The wheels of the workspace, each installed alone into a fresh environment outside of the repository."""

import os
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.wheels.built import ROOT, UV, run

#: Longest: for an installation that downloads everything, and a start.
INSTALL_SECONDS, START_SECONDS = 300, 60
#: sysexits.h: what a process ends with that was started without its settings.
MISCONFIGURED = 78


def members() -> dict[str, Path]:
    """Distribution to the folder of its project."""
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    folders = [folder for pattern in globs for folder in sorted(ROOT.glob(pattern))]
    return {
        tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]: folder
        for folder in folders
    }


MEMBERS = members()
#: Distributions that are run: how each is started, and what it ends with where nothing is configured.
STARTS = {
    "waybill-gateway": (["python", "-m", "waybill_gateway"], MISCONFIGURED),
    "waybill-email": (["python", "-m", "waybill_email"], MISCONFIGURED),
    "waybill-images": (["python", "-m", "waybill_images"], MISCONFIGURED),
    "waybill-sync": (["python", "-m", "waybill_sync"], MISCONFIGURED),
    "waybill-status": (["python", "-m", "waybill_status"], MISCONFIGURED),
    "waybill-deadletters": (["python", "-m", "waybill_deadletters"], MISCONFIGURED),
    "waybill[service]": (["waybill", "run", "--help"], 0),
    "waybill-cli": (["waybill", "--help"], 0),
    "waybill-deploy": (["python", "-m", "waybill_deploy", "--help"], 0),
    "waybill-devstack": (["python", "-m", "waybill_devstack", "--help"], 0),
}
#: Distributions that are only imported, by the others.
LIBRARIES = {
    "waybill-contracts",
    "waybill-database",
    "waybill-ledger",
    "waybill-pictures",
    "waybill-testkit",
    "waybill-worker",
}


def test_each_distribution_is_either_started_or_a_library() -> None:
    assert {Requirement(text).name for text in STARTS} | LIBRARIES == MEMBERS.keys()


def test_no_wheel_installs_a_top_level_name_that_could_be_a_users_own(wheels: Path) -> None:
    tops = {
        name.split("/")[0]
        for wheel in wheels.glob("*.whl")
        for name in listed(wheel)
        if not name.split("/")[0].endswith(".dist-info")
    }
    assert [top for top in sorted(tops) if not top.startswith("waybill")] == []


def test_each_wheel_says_what_it_is(wheels: Path) -> None:
    for wheel in sorted(wheels.glob("*.whl")):
        about = metadata_of(wheel)
        assert about["Summary"], wheel.name
        assert about["License-Expression"] == "Apache-2.0", wheel.name
        assert about["Requires-Python"] == ">=3.11", wheel.name
        assert about["Description-Content-Type"] == "text/markdown", wheel.name
        assert str(about.get_payload()).lstrip().startswith("# "), wheel.name
        assert "Typing :: Typed" in about.get_all("Classifier", []), wheel.name
        [package] = {name.split("/")[0] for name in listed(wheel) if ".dist-info/" not in name}
        assert f"{package}/py.typed" in listed(wheel), wheel.name
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in listed(wheel)), wheel.name


def metadata_of(wheel: Path) -> Message:
    [name] = (name for name in listed(wheel) if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(name))


def listed(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment whose content each test replaces: what two have in common is installed once."""
    folder = tmp_path_factory.mktemp("wheel") / "environment"
    run([UV, "venv", "--quiet", "--python", sys.executable, folder], INSTALL_SECONDS)
    return folder


@pytest.mark.parametrize("distribution", STARTS)
def test_what_a_wheel_brings_starts_with_its_pinned_requirements_alone(
    distribution: str, environment: Path, wheels: Path, tmp_path: Path
) -> None:
    in_environment = ("--quiet", "--python", environment / "bin" / "python")
    requirements = ROOT / "requirements" / f"{MEMBERS[Requirement(distribution).name].name}.txt"
    # Removes whatever else is there.
    run([UV, "pip", "sync", *in_environment, "--require-hashes", requirements], INSTALL_SECONDS)
    # Without an index: what the requirements lack fails here.
    own = ("--no-index", "--find-links", wheels, distribution)
    run([UV, "pip", "install", *in_environment, *own], INSTALL_SECONDS)
    command, expected = STARTS[distribution]
    done = subprocess.run(
        [environment / "bin" / command[0], *command[1:]],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert done.returncode == expected, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
