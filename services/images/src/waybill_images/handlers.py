"""Handler of the images service."""

from dataclasses import asdict
from typing import Any, NamedTuple

from waybill import Attempt, PermanentError
from waybill_contracts.images import variants_of
from waybill_contracts.kinds import ImageUploaded
from waybill_images.presets import ENCODERS
from waybill_images.render_pool import RenderPool
from waybill_images.render_result import RenderedVariant
from waybill_worker.observe import SpanKind, span
from waybill_worker.storage import ObjectMissing, ObjectStore, ObjectTooLarge


class Rendering(NamedTuple):
    """What the handler uses: the store of originals and variants, and the renderers."""

    store: ObjectStore
    pool: RenderPool


async def make_variants(event: ImageUploaded, _attempt: Attempt, rendering: Rendering) -> dict[str, Any]:
    """Renders the requested variants of an uploaded image and stores each under its content hash.

    A repeat writes equal files under equal keys, so it has no effect.

    Returns:
        `{"variants": {preset: {"width", "height", "files": {format: file}}}, "animation"?, "notes"?}`, sizes
        in pixels; each file is `{"key", "content_type", "size_bytes"}`, the animation `{"frames", "kept"}`,
        each note a sentence.

    Raises:
        PermanentError: the original is missing, is not the uploaded file, or cannot be rendered.
        HardTimeLimitExceeded, TransientError: the renderer took too long, or died.
        StoreUnavailable: the object store could not be reached, or refused.
    """
    store, pool = rendering
    original = await _original(event, store)
    variants: dict[str, Any] = {}
    with span("render", SpanKind.INTERNAL):
        rendered = await pool.render(original, event.variants)
    for made in rendered.variants:
        variant = variants.setdefault(made.preset, {"width": made.width, "height": made.height, "files": {}})
        variant["files"][made.format] = await _store(made, store, variants_of(event.sha256))
    result: dict[str, Any] = {"variants": variants}
    if rendered.animation is not None:
        result["animation"] = asdict(rendered.animation)
    if rendered.notes:
        result["notes"] = list(rendered.notes)
    return result


async def _original(event: ImageUploaded, store: ObjectStore) -> bytes:
    try:
        return await store.get(event.source_key, max_bytes=event.size_bytes)
    except ObjectMissing as error:
        raise PermanentError(
            f"The original {event.source_key} is no longer in the object store; upload it again."
        ) from error
    except ObjectTooLarge as error:
        raise PermanentError(
            f"The original {event.source_key} is not the file that was uploaded: {error}."
        ) from error
    except ValueError as error:
        raise PermanentError(f"The event has no valid key of an original: {error}.") from error


async def _store(rendered: RenderedVariant, store: ObjectStore, prefix: str) -> dict[str, Any]:
    suffix = ENCODERS[rendered.format].suffix
    key = await store.put(rendered.data, prefix=prefix, suffix=suffix, content_type=rendered.content_type)
    return {"key": key, "content_type": rendered.content_type, "size_bytes": len(rendered.data)}
