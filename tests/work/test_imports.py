"""What a process does not import: each would cost every process of its kind megabytes."""

import subprocess
import sys

import pytest

#: Prefixes of modules that only some processes need.
_FILES = "obstore"
_POSTGRESQL = ("psycopg", "sqlalchemy.dialects.postgresql")
_HTTP_API = ("fastapi", "jinja2", "alembic", "waybill_gateway")
_LEDGER = "waybill_ledger"
_IMAGES = "pyvips"


def imported_by(module: str) -> set[str]:
    """All modules of a new interpreter that has imported this one."""
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("waybill_worker.service", (_FILES, *_POSTGRESQL, *_HTTP_API, _LEDGER, _IMAGES)),
        ("waybill_sync.app", (_FILES, *_POSTGRESQL, *_HTTP_API, _LEDGER, _IMAGES)),
        # The ledger has indexes with conditions, for which SQLAlchemy imports both dialects.
        ("waybill_status.app", (_FILES, _POSTGRESQL[0], *_HTTP_API, _IMAGES)),
    ],
)
def test_a_process_imports_nothing_that_only_others_need(module: str, absent: tuple[str, ...]) -> None:
    found = imported_by(module)

    assert module in found
    assert not [each for each in found for name in absent if each == name or each.startswith(f"{name}.")]
