"""Structured logs: one JSON object a line on standard output, with the fields of the task bound to it.

No line shows sensitive values: mail addresses are masked in all lines, including those of libraries and
tracebacks, and the values of a task's sensitive fields while it is in work (`masking`).
"""

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Final

import structlog

from waybill_contracts.privacy import NO_MASK, Mask
from waybill_contracts.wire import ErrorInfo
from waybill_worker.observe.repeated_lines import ClientRepeats, Repeats, leave_out_repeats

#: Libraries that log each message or request at INFO; only their warnings are wanted.
_CHATTY = (
    "aio_pika",
    "aiormq",
    "faststream",
    "httpx",
    "httpcore",
    "uvicorn.access",
    "uvicorn.error",
    "alembic",
    "pyvips",
)
#: Mask of the task in work.
_MASK: ContextVar[Mask] = ContextVar("waybill_mask", default=NO_MASK)
#: Fields of a line that hold only our own values, and never a task's.
_OWN: Final = frozenset(
    {
        *(
            "level",
            "timestamp",
            "process",
            "module",
            "logger",
            "service",
            "queue",
            "queues",
            "target",
            "step",
        ),
        *("reason", "why", "what", "because", "state", "outcome", "exists", "until", "since", "expected_at"),
        *("task_id", "kind", "attempt", "trace_id", "schedule_id", "redrive", "slot", "missed", "key_id"),
    }
)
#: The caller's id of its request, by which a task's lines are found. Mail addresses are masked in it, but not
#: the task's texts, which often contain it: an alert that is mailed quotes its own id.
CORRELATION: Final = "correlation_id"
#: Fields of our own lines that hold only our own values: the event is always a constant of the code.
_OWN_IN_OURS: Final = _OWN | {"event"}


def mask_lines(mask: Mask) -> None:
    """Apply `mask` to every line of the running asyncio task, and of tasks that it starts."""
    _MASK.set(mask)


def _described(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the types of exceptions among the fields: the text of many says little by itself (`'nope'`)."""
    for name, value in line.items():
        if isinstance(value, BaseException):
            line[name] = str(ErrorInfo.of(value, _MASK.get()))
    return line


def _masked(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    mask = _MASK.get()
    # Only our loggers bind a module.
    own = _OWN_IN_OURS if "module" in line else _OWN
    for name, value in line.items():
        if name not in own and not name.startswith("_"):
            line[name] = (NO_MASK if name == CORRELATION else mask).errors(value)
    return line


def configure_logging(process: str, *, level: str, format_: str) -> None:
    """Send structlog and the standard library's logging to standard output, as one stream.

    Args:
        process: name of the process, on every line as `process`.
        level: `debug`, `info`, `warning` or `error`.
        format_: `json` for machines, `console` for people.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _described,
        _masked,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer() if format_ == "json" else structlog.dev.ConsoleRenderer()
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    repeats = Repeats()
    structlog.configure(
        processors=[leave_out_repeats(repeats), *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(ClientRepeats(repeats))
    # `ExtraAdder` lifts what libraries pass as `extra` to the top level, where our own fields are.
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *shared[:-1],
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                _masked,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(process=process)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger; `name` is the module that logs."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
