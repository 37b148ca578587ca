"""Structured logs: one JSON object a line on standard output, with the task's words bound to it.

No line shows what is sensitive: mail addresses are masked in all of them, libraries' lines and tracebacks
included, and the values of a task's sensitive fields while it is worked on (`masking`).
"""

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Final

import structlog

from waybill_contracts.privacy.mask import NO_MASK, Mask
from waybill_contracts.wire.lifecycle import ErrorInfo
from waybill_worker.observe.repeated_lines import ClientRepeats, Repeats, leave_out_repeats

#: Libraries that log each message or request at INFO; their warnings are wanted, their chatter is not.
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
#: What the lines of the task that is worked on must not show.
_MASK: ContextVar[Mask] = ContextVar("waybill_mask", default=NO_MASK)
#: Fields of a line that are ours alone, so that nothing of a task's can stand in them.
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
#: The caller's name for its request, which finds a task's lines. Mail addresses are masked in it, but the
#: task's texts are not looked for: it often stands in them, as in an alert that is mailed and quotes its own.
_CORRELATION: Final = "correlation_id"
#: The same of the lines that we write: what happened is always said in words of the code.
_OWN_IN_OURS: Final = _OWN | {"event"}


def mask_lines(mask: Mask) -> None:
    """Hides what `mask` does in every line of the running asyncio task, and of those that it starts."""
    _MASK.set(mask)


def _described(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Exceptions among the fields with their types: the text of many says nothing by itself (`'nope'`)."""
    for name, value in line.items():
        if isinstance(value, BaseException):
            line[name] = str(ErrorInfo.of(value, _MASK.get()))
    return line


def _masked(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    mask = _MASK.get()
    # Only our loggers bind the module that speaks.
    own = _OWN_IN_OURS if "module" in line else _OWN
    for name, value in line.items():
        if name not in own and not name.startswith("_"):
            line[name] = (NO_MASK if name == _CORRELATION else mask).errors(value)
    return line


def configure_logging(process: str, *, level: str, format_: str) -> None:
    """Sends structlog and the standard library's logging to standard output, as one stream.

    Args:
        process: the process's name, on every line as `process`.
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
    """A logger; `name` tells which part of the process speaks."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
