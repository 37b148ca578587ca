"""A file on its way to a caller, which the store may break off."""

from fastapi.responses import StreamingResponse
from starlette.types import Send

from waybill_worker.observe.logs import get_logger
from waybill_worker.storage.object_store import ObjectMissing, StoreUnavailable

log = get_logger(__name__)


class Download(StreamingResponse):
    """What the object store gives, bit by bit.

    Where that fails amid the file the status is long sent: the connection is cut before `Content-Length`, so
    that no caller takes a part for the whole.
    """

    async def stream_response(self, send: Send) -> None:
        """Sends all of it, or leaves the answer without its end, which makes the server hang up."""
        try:
            await super().stream_response(send)
        except (StoreUnavailable, ObjectMissing) as error:
            # Without a traceback, which would tell nothing more.
            log.error("a download was cut off, for the object store failed", error=error)  # noqa: TRY400 - as said
