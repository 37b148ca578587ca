"""A wrong call of a user is an error of type for pyright, too; `make types` asks mypy about the same file."""

import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent
#: Strict, and so that what is marked as wrong must be wrong.
SETTINGS = {
    "typeCheckingMode": "strict",
    "pythonVersion": "3.11",
    "reportUnnecessaryTypeIgnoreComment": "error",
}


def test_pyright_accepts_right_uses_and_refuses_wrong_ones(tmp_path: Path) -> None:
    settings = tmp_path / "pyrightconfig.json"
    settings.write_text(json.dumps(SETTINGS | {"include": [str(TESTS / "typed_use.py")]}))
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "basedpyright",
            "--project",
            settings,
            "--pythonpath",
            sys.executable,
            "--outputjson",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = json.loads(checked.stdout)
    said = [
        f"line {each['range']['start']['line'] + 1}: {each['message']} ({each.get('rule')})"
        for each in found["generalDiagnostics"]
    ]
    assert said == []
    assert found["summary"]["filesAnalyzed"] == 1
