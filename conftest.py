"""What holds for all tests: the shared fixtures, and marks that follow from folders."""

import gc
import os

import pytest
import structlog
from hypothesis import settings

# Nothing that imports and collection make is garbage: a fifth of their processor time, in each worker.
gc.disable()

from waybill_contracts.privacy.seal import Keyring  # noqa: E402 - one of these imports

#: Where the longest tests are: at the end they would run alone.
FIRST = ("tests/hostile/", "tests/wheels/", "tests/broker/", "worker/tests/broker/")
#: Seconds for a test of these folders, whose first one starts a whole stack, builds images, or runs a matrix.
LONGER = {"end_to_end": 900, "crash": 1800, "compose": 2400}

# How long an example takes depends on the machine; how long a test may take is limited for all alike.
settings.register_profile("waybill", deadline=None)
settings.load_profile("waybill")

pytest_plugins = ["waybill_testkit.fixtures"]
# It asserts in place of the tests: its failures show the values, too.
pytest.register_assert_rewrite("waybill_testkit.gateway")


def pytest_configure() -> None:
    """Gives every process of a test run the keys that an installation has, made anew for each run."""
    for name in ("WAYBILL_SEALING_KEYS", "WAYBILL_PERSONS_KEY"):
        os.environ.setdefault(name, Keyring.new_key())
    # By default structlog has rich draw each traceback with all local values: half a second and more in which
    # the event loop does nothing else, and others' deadlines pass.
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


def pytest_collection_finish() -> None:
    """Has the garbage collector begin, and leave alone what is there for good: modules and tests."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by the folder that they are in, gives them time, and has the long ones begin."""
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))
    for item in items:
        for folder in ("broker", "end_to_end", "crash", "compose"):
            if f"/tests/{folder}/" in item.path.as_posix():
                item.add_marker(folder)
                if folder in LONGER:
                    item.add_marker(pytest.mark.timeout(LONGER[folder]))
                    _keep_together(item, folder)


def _keep_together(item: pytest.Item, folder: str) -> None:
    """Has the tests of one file, or of a folder in this one, run in one process: they share a stack."""
    if item.config.pluginmanager.hasplugin("xdist"):
        below = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(item.path.stem if below == folder else below))
