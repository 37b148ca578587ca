"""The calls about files and images."""

import mimetypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from waybill.answers import AcceptedTask, RedeemedPasswordReset, TaskFiles
from waybill.calls.call import FILE_SECONDS, STORE_SECONDS, Answer, Call, FileBody, json_body, model, present
from waybill.calls.paths import segment
from waybill.calls.submission import SubmitOptions, timing_of
from waybill.calls.tasks import JSON_TYPE, path_of, submit_headers
from waybill_contracts.files import FileRef

#: What is uploaded: its content, an open file that can be sought in, or a path.
Source = bytes | BinaryIO | Path
_UNKNOWN_TYPE: Final = "application/octet-stream"


@contextmanager
def file_body(source: Source, name: str | None, content_type: str | None) -> Iterator[FileBody]:
    """What is uploaded, open for the time of the block.

    Raises:
        OSError: the file cannot be opened, or not be sought in.
    """
    if isinstance(source, Path):
        with source.open("rb") as opened:
            yield _body(opened, name or source.name, content_type)
    else:
        yield _body(BytesIO(source) if isinstance(source, bytes) else source, name, content_type)


def upload(body: FileBody, deadline: float | None) -> Call[FileRef]:
    """`POST /v1/files`: a repeat has the same effect."""
    return Call(
        "POST",
        "/v1/files",
        model(FileRef),
        present({"name": body.name or None}),
        {"Content-Type": body.content_type, "Content-Length": str(body.size)},
        body,
        deadline=deadline,
        lasts=FILE_SECONDS,
        silent=STORE_SECONDS,
    )


def image(body: FileBody, variants: Sequence[str], options: SubmitOptions) -> Call[AcceptedTask]:
    """`POST /v1/images`."""
    fields = present(timing_of(options)) | ({"variants": list(variants)} if variants else {})
    return Call(
        "POST",
        "/v1/images",
        model(AcceptedTask),
        headers=submit_headers(options),
        content=body,
        form=fields,
        deadline=options.get("deadline"),
        lasts=FILE_SECONDS,
        silent=STORE_SECONDS,
    )


def listed(task_id: str | UUID) -> Call[TaskFiles]:
    """`GET /v1/tasks/{task_id}/files`."""
    return Call("GET", f"{path_of(task_id)}/files", model(TaskFiles))


def content(task_id: str | UUID, name: str, service: str | None, deadline: float | None) -> Call[bytes]:
    """`GET /v1/tasks/{task_id}/files/{name}`."""
    path = f"{path_of(task_id)}/files/{segment(name)}"
    return _download(path, present({"service": service}), "*/*", deadline)


def variant(task_id: str | UUID, name: str, deadline: float | None) -> Call[bytes]:
    """`GET /v1/images/{task_id}/{variant}`."""
    path = f"/v1/images/{path_of(task_id).rpartition('/')[2]}/{segment(name)}"
    return _download(path, {}, "image/webp, */*", deadline)


def redeem_password_reset(token: str) -> Call[RedeemedPasswordReset]:
    """`POST /v1/password-resets/redeem`: a token is redeemed once, so it is not repeated blindly."""
    return Call(
        "POST",
        "/v1/password-resets/redeem",
        model(RedeemedPasswordReset),
        headers=JSON_TYPE,
        content=json_body({"token": token}),
        is_repeatable=False,
    )


def _download(path: str, params: dict[str, str], accept: str, deadline: float | None) -> Call[bytes]:
    headers = {"Accept": accept}
    return Call("GET", path, _bytes, params, headers, deadline=deadline, lasts=FILE_SECONDS)


def _bytes(answer: Answer) -> bytes:
    return answer.content


def _body(file: BinaryIO, name: str | None, content_type: str | None) -> FileBody:
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    guessed = mimetypes.guess_type(name)[0] if name else None
    return FileBody(file, start, size, name or "", content_type or guessed or _UNKNOWN_TYPE)
