"""Handler of the images service."""

from dataclasses import asdict
from typing import Any

from waybill import Attempt
from waybill_contracts.kinds import ImageUploaded
from waybill_images.presets import ENCODERS
from waybill_images.render_pool import RenderPool
from waybill_images.render_result import RenderedVariant
from waybill_worker.observe import SpanKind, span


async def make_variants(event: ImageUploaded, attempt: Attempt, pool: RenderPool) -> dict[str, Any]:
    """Renders the requested variants of an uploaded image, and writes each as a file of the task.

    A repeat writes equal files under equal keys, so it has no effect.

    Returns:
        `{"variants": {preset: {"width", "height", "files": {format: file}}}, "animation"?, "notes"?}`, sizes
        in pixels; each file is `{"name", "key", "content_type", "size_bytes"}`, the animation
        `{"frames", "kept"}`, each note a sentence.

    Raises:
        PermanentError: the original is missing, is not the uploaded file, or cannot be rendered.
        HardTimeLimitExceeded, TransientError: the renderer took too long, or died.
        StoreUnavailable: the object store could not be reached, or refused.
    """
    original = await attempt.files.read(event.source_key, max_bytes=event.size_bytes)
    variants: dict[str, Any] = {}
    with span("render", SpanKind.INTERNAL):
        rendered = await pool.render(original, event.variants)
    for made in rendered.variants:
        variant = variants.setdefault(made.preset, {"width": made.width, "height": made.height, "files": {}})
        variant["files"][made.format] = await _write(made, attempt)
    result: dict[str, Any] = {"variants": variants}
    if rendered.animation is not None:
        result["animation"] = asdict(rendered.animation)
    if rendered.notes:
        result["notes"] = list(rendered.notes)
    return result


async def _write(rendered: RenderedVariant, attempt: Attempt) -> dict[str, Any]:
    name = f"{rendered.preset}{ENCODERS[rendered.format].suffix}"
    file = await attempt.files.write(name, rendered.data, content_type=rendered.content_type)
    return {
        "name": name,
        "key": file.key,
        "content_type": file.content_type,
        "size_bytes": file.size_bytes,
    }
