"""Finds Chromium, and installs Debian's package where that is allowed."""

import os
import shutil
from typing import Final

from waybill_testkit.broker import BrokerError, install_server, privilege
from waybill_testkit.machine import one_at_a_time

#: Environment variable with the program to use.
SETTING: Final = "WAYBILL_TEST_CHROMIUM"
#: What distributions call it.
NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class NoBrowserError(Exception):
    """There is no Chromium, and none may be installed."""


def chromium_program() -> str:
    """The path of Chromium: the given one, an installed one, else that of the package manager.

    Raises:
        NoBrowserError: there is none; the message says how to get one.
    """
    with one_at_a_time("chromium"):
        return _found() or _installed()


def _found() -> str | None:
    given = os.environ.get(SETTING)
    if given:
        return given
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def _installed() -> str:
    apt_get, prefix = shutil.which("apt-get"), privilege()
    if apt_get is None or prefix is None:
        raise NoBrowserError(f"no Chromium: install it, or name the program in {SETTING}")
    try:
        install_server(apt_get, prefix, package="chromium")
    except BrokerError as error:
        raise NoBrowserError(f"no Chromium: {error}") from error
    found = _found()
    if found is None:
        raise NoBrowserError("apt-get installed a Chromium that is not in PATH")
    return found
