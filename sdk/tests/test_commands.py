"""The commands of authors, as they are typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from waybill_cli.main import run

TESTS = Path(__file__).parent


@pytest.fixture(autouse=True)
def _in_the_folder_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TESTS)


def test_the_manifest_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["manifest", "invoice_service:service"]) == 0

    from invoice_service import service  # noqa: PLC0415 - as the command finds it

    assert capsys.readouterr().out == service.manifest().text()


def test_the_manifest_is_written_with_the_release_of_a_build(tmp_path: Path) -> None:
    file = tmp_path / "invoices.json"
    assert run(["manifest", "invoice_service:service", "--release", "1.5.0", "--output", str(file)]) == 0
    assert json.loads(file.read_text())["release"] == "1.5.0"


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("invoice_service", "is not MODULE:SERVICE"),
        ("nowhere:service", "there is no module nowhere"),
        ("invoice_service:server", "has no service server"),
        ("invoice_service:render", "It has: service."),
    ],
)
def test_a_service_that_is_not_there(target: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["manifest", target]) == 2
    assert why in capsys.readouterr().err


def test_a_wrong_definition_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrongly_named.py").write_text("from waybill import Service\nservice = Service('gateway')\n")
    assert run(["manifest", "wrongly_named:service"]) == 2
    assert "wrongly_named: 'gateway' is a name of Waybill's own" in capsys.readouterr().err


def test_an_error_within_the_module_of_a_service_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "needing.py").write_text("import not_installed_anywhere\n")
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        run(["manifest", "needing:service"])


def test_a_service_without_its_settings_does_not_start() -> None:
    command = [sys.executable, "-m", "waybill_cli", "run", "invoice_service:service"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": ""}, timeout=60)

    assert ended.returncode == 78
    assert "WAYBILL_INBOX_URL: Field required" in ended.stdout


def test_resources_that_refuse_a_setting_end_the_process_as_a_wrong_setting_does(tmp_path: Path) -> None:
    settings = {
        "PATH": "",
        "WAYBILL_INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
        "WAYBILL_AMQP_URL": "amqp://guest:guest@127.0.0.1:1/",
        "WAYBILL_SEALING_KEYS": "A" * 43 + "=",
        "WAYBILL_SHOP_NAME": "",
    }
    command = [sys.executable, "-m", "waybill_cli", "run", "invoice_service:service"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=settings, timeout=60)

    assert ended.returncode == 78, ended.stdout + ended.stderr
    assert "shop_name must not be empty" in ended.stdout


def test_commands_of_the_operator_load_nothing_of_services() -> None:
    loaded = (
        "import sys\nfrom waybill_cli.main import run\nrun(['tasks', 'ls', '--help'])\n"
        "slow = ('waybill.client', 'waybill.definition', 'waybill_worker')\n"
        "print([name for name in sys.modules if name.startswith(slow)])"
    )
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"


#: The command where only that of the operator is installed.
WITHOUT_WORKER = """
import sys
from importlib.abc import MetaPathFinder
from waybill_cli.main import run

class Missing(MetaPathFinder):
    def find_spec(self, fullname, *_more):
        if fullname == "waybill_worker":
            raise ModuleNotFoundError("No module named 'waybill_worker'", name="waybill_worker")

sys.meta_path.insert(0, Missing())
sys.exit(run(["run", "invoice_service:service"]))
"""


def test_without_the_extra_a_command_says_what_to_install() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_WORKER], cwd=TESTS, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 2
    assert "pip install 'waybill[service]'" in ran.stderr
