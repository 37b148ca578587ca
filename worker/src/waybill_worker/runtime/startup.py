"""The start of a process: settings, logs, traces, then its work; an error of these is one clear line."""

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

from pydantic import ValidationError

from waybill_worker.observe import configure_logging, configure_tracing, get_logger
from waybill_worker.runtime.process import (
    EXIT_MISCONFIGURED,
    WRONG_SETTING,
    Lifecycle,
    configuring,
    refuse_to_start,
    run,
)
from waybill_worker.runtime.settings import ProcessSettings

if TYPE_CHECKING:
    from types import TracebackType

log = get_logger(__name__)

Settings = TypeVar("Settings", bound=ProcessSettings)
Made = TypeVar("Made")


def start(name: str, settings_of: Callable[[], Settings], make: Callable[[Settings], Lifecycle]) -> NoReturn:
    """Runs a process to its end; exits 78 if people must correct something before it can start.

    Args:
        name: name of the process, in its logs and traces.
        settings_of: reads its settings.
        make: makes it from them; a ValueError or OSError that it raises counts as a wrong setting.
    """
    settings = _prepare(name, settings_of)

    def made() -> Lifecycle:
        with configuring(*WRONG_SETTING):
            return make(settings)

    run(made, stop_seconds=settings.stop_seconds)


def build(name: str, settings_of: Callable[[], Settings], make: Callable[[Settings], Made]) -> Made:
    """Makes what a process runs, for a program that runs it; exits 78 as `start` does.

    Args:
        name: name of the process, in its logs and traces.
        settings_of: reads its settings.
        make: makes it from them; a ValueError or OSError that it raises counts as a wrong setting.
    """
    settings = _prepare(name, settings_of)
    try:
        return make(settings)
    except WRONG_SETTING as error:
        refuse_to_start(str(error))
        sys.exit(EXIT_MISCONFIGURED)


def _prepare(name: str, settings_of: Callable[[], Settings]) -> Settings:
    """Reads the settings, and sets up logs and traces."""
    # The settings of the process are not known yet.
    configure_logging(name, level="info", format_="json")
    try:
        settings = settings_of()
    except ValueError as error:  # also pydantic's
        refuse_to_start(_in_one_line(error))
        sys.exit(EXIT_MISCONFIGURED)
    configure_logging(name, level=settings.log_level, format_=settings.log_format)
    _log_unexpected_errors()
    configure_tracing(name)
    return settings


def _in_one_line(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(_line(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors())


def _line(field: str, message: str) -> str:
    # A check of several settings together has no field; its text names them.
    text = message.removeprefix("Value error, ")
    return f"WAYBILL_{field.upper()}: {text}" if field else text


def _log_unexpected_errors() -> None:
    """Log errors that end the process, or a thread, as lines like any other, masked."""

    def log_error(type_: type[BaseException], error: BaseException, trace: "TracebackType | None") -> None:
        log.critical("unexpected error", exc_info=(type_, error, trace))

    def log_error_of_thread(thrown: threading.ExceptHookArgs) -> None:
        if thrown.exc_value is not None:
            log_error(thrown.exc_type, thrown.exc_value, thrown.exc_traceback)

    sys.excepthook = log_error
    threading.excepthook = log_error_of_thread
