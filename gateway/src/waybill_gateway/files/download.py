"""The download of a file, which may fail in the middle."""

from fastapi.responses import StreamingResponse
from starlette.types import Send

from waybill_worker.observe import get_logger
from waybill_worker.storage import ObjectMissing, StoreUnavailable

log = get_logger(__name__)


class Download(StreamingResponse):
    """A file of the object store, streamed.

    If the store fails in the middle, the status has already been sent: the connection is closed before
    `Content-Length` is reached, so that no caller takes a part for the whole.
    """

    async def stream_response(self, send: Send) -> None:
        """Sends the file, or leaves the answer incomplete, which makes the server close the connection."""
        try:
            await super().stream_response(send)
        except (StoreUnavailable, ObjectMissing) as error:
            # Without a traceback, which would add nothing.
            log.error("a download was cut off because the object store failed", error=error)  # noqa: TRY400 - as said
