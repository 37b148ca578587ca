"""What holds for all tests: the shared fixtures, and marks that follow from folders."""

import pytest

pytest_plugins = ["devstack.fixtures"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by the folder that they are in; see `markers` in pyproject.toml."""
    for item in items:
        for folder in ("broker", "end_to_end", "crash", "compose"):
            if f"/tests/{folder}/" in item.path.as_posix():
                item.add_marker(folder)
