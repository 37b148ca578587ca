"""Where in the code an attempt failed, for the people who handle its dead letter."""

import inspect
import traceback
from collections.abc import Callable
from functools import cache, partial
from importlib import metadata
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from waybill_contracts.privacy import NO_MASK, Mask

#: UTF-8 bytes kept of a traceback: all headers of a message share one frame of at most 128 KiB.
MAX_TRACEBACK_BYTES: Final = 8 * 1024
#: Characters of a frame's name, which is module and function.
_MAX_FRAME_LENGTH: Final = 200


class FailureLocation(BaseModel):
    """The place that an exception came from."""

    model_config = ConfigDict(frozen=True)

    #: The traceback; its end, if it is long: the error is there.
    traceback: str
    #: The deepest place in the package of the handler, as `module:function`; without a line number, which
    #: changes from release to release.
    frame: str | None


def failure_location(
    error: BaseException, handler: Callable[..., Any], mask: Mask = NO_MASK
) -> FailureLocation:
    """Where `error` came from, with masked values and mail addresses left out.

    Args:
        error: what was raised.
        handler: raised it, itself or in what it called; its package is the service's own code.
        mask: hides values.
    """
    text = mask.error("".join(traceback.format_exception(error))).encode(errors="replace")
    if len(text) > MAX_TRACEBACK_BYTES:
        text = b"...\n" + text[-MAX_TRACEBACK_BYTES + 4 :]
    return FailureLocation(
        traceback=text.decode(errors="ignore"), frame=_own_frame(error, _package_of(handler))
    )


@cache
def service_version(service: str) -> str:
    """The installed version of a service, or `unknown`."""
    try:
        return metadata.version(f"waybill-{service}")
    except metadata.PackageNotFoundError:
        return "unknown"


def _package_of(handler: Callable[..., Any]) -> str:
    while isinstance(handler, partial):
        handler = handler.func
    module: str = getattr(inspect.unwrap(handler), "__module__", "")
    return module.partition(".")[0]


def _own_frame(error: BaseException, package: str) -> str | None:
    own = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] == package:
            own = f"{module}:{frame.f_code.co_name}"
    return None if own is None else own[:_MAX_FRAME_LENGTH]
