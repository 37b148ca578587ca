"""What holds for all tests: the shared fixtures, and marks that follow from folders."""

import os

import pytest

from contracts.sealing import Keyring

pytest_plugins = ["devstack.fixtures"]


def pytest_configure() -> None:
    """Gives every process of a test run the keys that an installation has, made anew for each run."""
    for name in ("WAYBILL_SEALING_KEYS", "WAYBILL_PERSONS_KEY"):
        os.environ.setdefault(name, Keyring.new_key())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by the folder that they are in; see `markers` in pyproject.toml."""
    for item in items:
        for folder in ("broker", "end_to_end", "crash", "compose"):
            if f"/tests/{folder}/" in item.path.as_posix():
                item.add_marker(folder)
