"""`waybill new service`: what it writes works as written."""

import subprocess
import sys
from pathlib import Path

import pytest

from waybill_cli.main import run


@pytest.fixture(params=["invoices", "invoice-pdf"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    assert run(["new", "service", request.param, "--in", str(tmp_path)]) == 0
    folder: Path = tmp_path / request.param
    return folder


def in_project(project: Path, *module_and_arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *module_and_arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=300)


def test_its_tests_pass_as_written(project: Path) -> None:
    ran = in_project(project, "pytest", "-q", "-p", "no:cacheprovider", "tests/test_handlers.py")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout


def test_it_is_clean_for_ruff(project: Path) -> None:
    checks = (("check", "--select", "E,F,I,UP,B,D1", "--ignore", "D100,D103,D104"), ("format", "--check"))
    for arguments in checks:
        ran = in_project(project, "ruff", *arguments, "--no-cache", ".")
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_its_manifest_can_be_printed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = project.name.replace("-", "_")
    monkeypatch.syspath_prepend(str(project / "src"))
    capsys.readouterr()
    assert run(["manifest", f"{package}:service"]) == 0
    assert f'"kind": "{project.name}.requested"' in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Invoices", "gateway", "../x"])
def test_a_name_that_no_service_may_have(name: str, tmp_path: Path) -> None:
    assert run(["new", "service", name, "--in", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "invoices").mkdir()
    (tmp_path / "invoices" / "mine.txt").write_text("mine")
    assert run(["new", "service", "invoices", "--in", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
