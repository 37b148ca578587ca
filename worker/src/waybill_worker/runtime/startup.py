"""The start of a process: settings, logs, traces, then its work; an error of these is one clear line."""

import argparse
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

from pydantic import ValidationError

from waybill_worker.observe import configure_logging, configure_tracing, get_logger
from waybill_worker.prefork import EXIT_BROKEN, EXIT_MISCONFIGURED, run_processes
from waybill_worker.runtime.http_server import inherited_socket, open_listener
from waybill_worker.runtime.memory import freeze_startup
from waybill_worker.runtime.process import (
    WRONG_SETTING,
    Lifecycle,
    MisconfiguredError,
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


def read_arguments(module: str) -> None:
    """Reads the command line of `python -m module`; an option is another way to write its setting."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description="Runs until a signal stops it. Its settings: WAYBILL_…"
    )
    parser.add_argument(
        "--processes", metavar="N", help="processes behind one parent, on one address (default: 1)"
    )
    if (processes := parser.parse_args().processes) is not None:
        os.environ["WAYBILL_PROCESSES"] = processes


def start(name: str, settings_of: Callable[[], Settings], make: Callable[[Settings], Lifecycle]) -> NoReturn:
    """Runs a process to its end, or several; exits 78 if people must correct something before it can start.

    Args:
        name: name of the process, in its logs and traces.
        settings_of: reads its settings.
        make: makes it from them; a ValueError or OSError that it raises counts as a wrong setting.
    """

    def work(settings: Settings) -> None:
        def made() -> Lifecycle:
            with configuring(*WRONG_SETTING):
                return make(settings)

        run(made, stop_seconds=settings.stop_seconds)

    in_processes(name, settings_of, work)


def in_processes(
    name: str, settings_of: Callable[[], Settings], work: Callable[[Settings], object]
) -> NoReturn:
    """Does `work` in as many processes as the settings say, and exits.

    Args:
        name: name of the process, in its logs and traces.
        settings_of: reads its settings.
        work: all that the process does; with several processes they inherit a listening socket.
    """
    settings = _prepare(name, settings_of)
    if settings.processes == 1:
        configure_tracing(name)
        work(settings)
        sys.exit()
    # Threads that an import has begun would be missing in the processes, and what they hold stay locked.
    if others := [each.name for each in threading.enumerate() if each is not threading.current_thread()]:
        refuse_to_start(f"WAYBILL_PROCESSES: a module began threads when it was imported: {others}")
        sys.exit(EXIT_MISCONFIGURED)
    try:
        listener = _listener(settings)
    except MisconfiguredError as error:
        refuse_to_start(str(error))
        sys.exit(EXIT_MISCONFIGURED)
    except OSError as error:
        log.critical("the address cannot be used", address=settings.address, error=error)
        sys.exit(EXIT_BROKEN)
    inheriting = settings.model_copy(update={"listener_fd": listener.fileno()})

    def one() -> None:
        configure_tracing(name)
        work(inheriting)

    freeze_startup()
    run_processes(one, processes=settings.processes, stop_seconds=settings.stop_seconds, listener=listener)


def build(name: str, settings_of: Callable[[], Settings], make: Callable[[Settings], Made]) -> Made:
    """Makes what a process runs, for a program that runs it; exits 78 as `start` does.

    Args:
        name: name of the process, in its logs and traces.
        settings_of: reads its settings.
        make: makes it from them; a ValueError or OSError that it raises counts as a wrong setting.
    """
    settings = _prepare(name, settings_of)
    if settings.processes > 1:
        refuse_to_start("WAYBILL_PROCESSES: this program starts one process; it has an option of its own")
        sys.exit(EXIT_MISCONFIGURED)
    configure_tracing(name)
    return made(settings, make)


def made(settings: Settings, make: Callable[[Settings], Made]) -> Made:
    """What `make` makes; exits 78 if it raises a ValueError or OSError, as a wrong setting does."""
    try:
        return make(settings)
    except WRONG_SETTING as error:
        refuse_to_start(str(error))
        sys.exit(EXIT_MISCONFIGURED)


def _listener(settings: ProcessSettings) -> socket.socket:
    """The listening socket of all processes.

    Raises:
        MisconfiguredError: the inherited descriptor is no socket.
        OSError: the port is taken.
    """
    if settings.listener_fd is not None:
        return inherited_socket(settings.listener_fd)
    return open_listener(*settings.address)


def _prepare(name: str, settings_of: Callable[[], Settings]) -> Settings:
    """Reads the settings, and sets up the logs."""
    # The settings of the process are not known yet.
    configure_logging(name, level="info", format_="json")
    try:
        settings = settings_of()
    except ValueError as error:  # also pydantic's
        refuse_to_start(_in_one_line(error))
        sys.exit(EXIT_MISCONFIGURED)
    configure_logging(name, level=settings.log_level, format_=settings.log_format)
    _log_unexpected_errors()
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
