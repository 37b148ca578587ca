"""The test kit is of use without a test runner: only its fixtures need the extra `pytest`."""

import subprocess
import sys
from pathlib import Path

import waybill_testkit

#: What comes with the extra, and the module that needs it to be imported.
EXTRA = ("flask", "moto", "pytest", "trustme")
FIXTURES = "waybill_testkit.fixtures"


def test_all_else_is_imported_without_the_extra() -> None:
    package = Path(waybill_testkit.__file__).parent
    modules = {
        ".".join(file.relative_to(package.parent).with_suffix("").parts) for file in package.rglob("*.py")
    }
    code = f"""
import sys
from importlib import import_module
sys.modules |= dict.fromkeys({EXTRA!r})
for module in {sorted(modules - {FIXTURES})!r}:
    import_module(module)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert FIXTURES in modules
    assert (done.returncode, done.stderr) == (0, "")
