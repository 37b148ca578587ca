"""Images: the upload, and its variants."""

import asyncio
import hashlib
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, BinaryIO
from uuid import UUID

from fastapi import APIRouter, Form, Header, Response, UploadFile
from fastapi.responses import RedirectResponse, StreamingResponse

from waybill_contracts.files import uploads_of
from waybill_contracts.images import PRESET_NAMES, PresetName
from waybill_contracts.kinds import ImageUploaded
from waybill_contracts.states import State
from waybill_gateway.auth import CallerDep, GuardedRoute
from waybill_gateway.files import Download, store_file
from waybill_gateway.http import FieldError, Problem, too_large
from waybill_gateway.images.models import PostImage
from waybill_gateway.images.probe_pool import ProbePool, ProbesDep
from waybill_gateway.probe import ImageFacts, RefusedImage
from waybill_gateway.runtime import ResourcesDep, kind_in_use
from waybill_gateway.tasks import AcceptedTask, PostDep, accept_task, find_task, new_task
from waybill_ledger import Task
from waybill_worker.object_store import ObjectStore
from waybill_worker.storage import ObjectMissing

router = APIRouter(tags=["images"], route_class=GuardedRoute)

#: Bytes that are read at once to hash an upload.
CHUNK_BYTES = 256 * 1024
#: Characters of a file name that lists of tasks show.
MAX_SHOWN_NAME = 200
#: The schema of a file, as generators of clients understand it.
_BINARY = {"schema": {"type": "string", "format": "binary"}}
#: A produced file at one address never changes.
_CACHE_CONTROL = "private, max-age=31536000, immutable"
#: Browsers must treat a produced file as a picture only, whatever its bytes contain.
_ONLY_A_PICTURE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@router.post(
    "/v1/images",
    status_code=HTTPStatus.ACCEPTED,
)
async def post_image(
    posted: Annotated[PostImage, Form(media_type="multipart/form-data")],
    post: PostDep,
    probes: ProbesDep,
) -> AcceptedTask:
    """Uploads an image, of which variants are made."""
    resources = post.resources
    presets = _presets(posted.variants)
    file = posted.file
    if file.size is not None and file.size > resources.settings.max_upload_bytes:
        raise too_large(resources.settings.max_upload_bytes)
    loop = asyncio.get_running_loop()
    sha256, descriptor = await loop.run_in_executor(None, _on_disk, _opened(file))
    facts = await _examined(probes, descriptor)
    content = f"{sha256} {presets} {posted.model_dump_json(exclude={'file', 'variants'})}"
    call = post.keyed_call(lambda: content)
    with resources.calls.only(call):
        key, _ = await store_file(resources, uploads_of(post.caller.tenant), _opened(file), sha256)
        event = ImageUploaded(
            source_key=key,
            sha256=sha256,
            content_type=facts.content_type,
            width=facts.width,
            height=facts.height,
            size_bytes=file.size or 0,
            variants=presets,
        )
        kind = await kind_in_use(resources.kinds, event.KIND)
        about = _shown_name(file) or sha256
        task = new_task(post, kind, event.event_data(), posted, about=about)
        return await accept_task(post, task, posted, call)


@router.get(
    "/v1/images/{task_id}/{variant}",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The produced file.",
            "content": {"image/webp": _BINARY, "image/jpeg": _BINARY},
        },
        307: {
            "description": "The temporary address of the produced file, if the installation has signed "
            "addresses.",
            "headers": {"Location": {"schema": {"type": "string", "format": "uri"}}},
        },
    },
)
async def get_variant(
    task_id: UUID,
    variant: str,
    resources: ResourcesDep,
    caller: CallerDep,
    # Not described: OpenAPI ignores descriptions of Accept, and generators of clients fail on them.
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> Response:
    """Returns a produced variant: `thumb.webp`, `thumb.jpeg`; for `thumb`, `Accept` selects the format."""
    task = await find_task(resources, caller, task_id)
    preset, _, ending = variant.partition(".")
    files = _produced(task, preset)
    chosen = ending.replace("jpg", "jpeg") or ("webp" if "image/webp" in accept else "jpeg")
    if chosen not in files:
        raise Problem(
            HTTPStatus.NOT_FOUND, "no_such_format", f"Formats of this variant: {', '.join(sorted(files))}."
        )
    try:
        if resources.settings.signed_url_seconds is not None:
            return await _redirection(
                resources.objects, files[chosen]["key"], resources.settings.signed_url_seconds
            )
        return await _file_response(resources.objects, files[chosen], varies=not ending)
    except ObjectMissing as error:
        raise _no_longer_kept() from error


def _no_longer_kept() -> Problem:
    return Problem(HTTPStatus.GONE, "no_longer_kept", "This file was made, but is not kept any more.")


async def _redirection(objects: ObjectStore, key: str, seconds: int) -> RedirectResponse:
    address = await objects.signed_url(key, timedelta(seconds=seconds))
    if address is None:
        raise ObjectMissing(key)
    await objects.require(key)
    # Not to be stored: the address is valid only for a while.
    return RedirectResponse(address, HTTPStatus.TEMPORARY_REDIRECT, {"Cache-Control": "no-store"})


async def _file_response(objects: ObjectStore, file: dict[str, Any], *, varies: bool) -> Download:
    size, chunks = await objects.stream(file["key"])
    headers = {
        "Content-Length": str(size),
        "ETag": f'"{file["key"].rpartition("/")[2]}"',
        "Cache-Control": _CACHE_CONTROL,
        **_ONLY_A_PICTURE,
    }
    if varies:
        headers["Vary"] = "Accept"
    return Download(chunks, media_type=file["content_type"], headers=headers)


def _produced(task: Task, preset: str) -> dict[str, Any]:
    subtask = next((s for s in task.subtasks if s.service == "images"), None)
    if subtask is None or preset not in PRESET_NAMES:
        raise Problem(HTTPStatus.NOT_FOUND, "no_such_variant", "There is no such variant of such an image.")
    if subtask.state in {State.FAILED, State.CANCELLED}:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "never_produced",
            f"The task is {subtask.state}: no variant was made. GET /v1/tasks/{task.id} shows why.",
        )
    if task.erased_at is not None:
        raise _no_longer_kept()
    if subtask.result is None:
        raise Problem(
            HTTPStatus.CONFLICT,
            "not_produced_yet",
            f"The task is {subtask.state}. Repeat the call in a moment.",
            headers={"Retry-After": "1"},
        )
    variants: dict[str, dict[str, Any]] = subtask.result["variants"]
    if preset not in variants:
        made = ", ".join(variants)
        raise Problem(HTTPStatus.NOT_FOUND, "no_such_variant", f"This task was asked for: {made}.")
    files: dict[str, Any] = variants[preset]["files"]
    return files


def _presets(wanted: list[str]) -> tuple[PresetName, ...]:
    names = [name.strip() for entry in wanted for name in entry.split(",") if name.strip()]
    unknown = [name for name in names if name not in PRESET_NAMES]
    if unknown:
        known = ", ".join(PRESET_NAMES)
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "unknown_variant",
            f"Known variants: {known}.",
            errors=[FieldError(field="variants", message=f"any of: {known}")],
        )
    # In the order of the presets and each once, so that equal requests have equal content.
    return tuple(name for name in PRESET_NAMES if not names or name in names)


def _shown_name(file: UploadFile) -> str:
    # Lists show no control characters, and PostgreSQL stores no NUL.
    return "".join(character for character in file.filename or "" if character.isprintable())[:MAX_SHOWN_NAME]


def _opened(file: UploadFile) -> BinaryIO:
    file.file.seek(0)
    return file.file


def _on_disk(file: BinaryIO) -> tuple[str, int]:
    """The hash of the file and its descriptor; a small file is written to disk for that."""
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    descriptor = file.fileno()
    file.flush()
    return digest.hexdigest(), descriptor


async def _examined(probes: ProbePool, descriptor: int) -> ImageFacts:
    try:
        return await probes.probe(descriptor)
    except RefusedImage as refused:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            refused.code,
            refused.detail,
            errors=[FieldError(field="file", message=refused.detail)],
        ) from refused
