"""Where in the code an attempt failed: what a dead letter tells whoever looks into it."""

import traceback
from functools import cache
from importlib import metadata
from typing import Final

from pydantic import BaseModel, ConfigDict

from waybill_contracts.privacy.mask import NO_MASK, Mask

#: UTF-8 bytes of a traceback that are kept: all headers of a message share one frame of at most 128 KiB.
MAX_TRACEBACK_BYTES: Final = 8 * 1024
#: Packages that every service shares: a frame in them does not name what the service did.
_SHARED_PACKAGES: Final = frozenset(
    {"waybill_contracts", "waybill_database", "waybill_pictures", "waybill_worker"}
)
#: Of a frame's name: module and function.
_MAX_FRAME_LENGTH: Final = 200


class FailureLocation(BaseModel):
    """Where an exception came from."""

    model_config = ConfigDict(frozen=True)

    #: Its end, if it is long: what raised stands there.
    traceback: str
    #: The deepest place in a service's own code, as `module:function`; without a line, so that it is the same
    #: in the next release.
    frame: str | None


def failure_location(error: BaseException, mask: Mask = NO_MASK) -> FailureLocation:
    """Where `error` came from, without what is masked and without mail addresses."""
    text = mask.error("".join(traceback.format_exception(error))).encode(errors="replace")
    if len(text) > MAX_TRACEBACK_BYTES:
        text = b"...\n" + text[-MAX_TRACEBACK_BYTES + 4 :]
    return FailureLocation(traceback=text.decode(errors="ignore"), frame=_own_frame(error))


@cache
def service_version(service: str) -> str:
    """The version of a service as it is installed here, or `unknown`."""
    try:
        return metadata.version(f"waybill-{service}")
    except metadata.PackageNotFoundError:
        return "unknown"


def _own_frame(error: BaseException) -> str | None:
    own = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        package = module.partition(".")[0]
        if package.startswith("waybill_") and package not in _SHARED_PACKAGES:
            own = f"{module}:{frame.f_code.co_name}"
    return None if own is None else own[:_MAX_FRAME_LENGTH]
