"""Bad input: refused with advice, and nothing of it stored."""

from pathlib import Path
from typing import Any

import httpx

from waybill_devstack.tour.narrator import Narrator
from waybill_devstack.tour.world import World

#: Larger than the upload limit of the local stack.
OVERSIZED_BYTES = 30 * 1024 * 1024
#: Where the truncated JPEG ends: in the middle of its picture.
TRUNCATED_AT = 0.6


async def bad_input(world: World, narrator: Narrator, folder: Path) -> None:
    """Sends what must be refused."""
    narrator.chapter("Bad input")
    tasks_before, files_before = await _all_tasks(world), await world.backstage.stored_files()
    mail = {"to": "not an address", "subject": "Hi", "text": "Hello"}
    await _refused(narrator, "a wrong address", await world.gateway.post("/v1/emails", json=mail))
    photograph = (folder / "photograph.jpg").read_bytes()
    uploads = {
        "a text file called .jpg": b"This is no photograph, whatever its name says.\n" * 100,
        "a truncated JPEG": photograph[: int(len(photograph) * TRUNCATED_AT)],
        "an oversized upload": photograph + bytes(OVERSIZED_BYTES),
    }
    for what, content in uploads.items():
        files = {"file": ("holiday.jpg", content, "image/jpeg")}
        await _refused(narrator, what, await world.gateway.post("/v1/images", files=files))
    record = {"target": "nowhere", "resource": "users", "id": "1", "data": {}}
    await _refused(narrator, "an unknown sync target", await world.gateway.post("/v1/syncs", json=record))
    narrator.expect(await _all_tasks(world) == tasks_before, "nothing was enqueued")
    narrator.expect(
        await world.backstage.stored_files() == files_before, "nothing was left in the object store"
    )
    narrator.sum_up("bad input was refused with what to do about it, and left nothing behind")


async def _refused(narrator: Narrator, what: str, answer: httpx.Response) -> None:
    document: dict[str, Any] = answer.json() if "problem+json" in answer.headers["content-type"] else {}
    narrator.expect(
        answer.is_client_error and bool(document.get("detail")),
        f"{what}: {answer.status_code}, “{_advice(document)}”",
        answer.text[:200],
    )


def _advice(document: dict[str, Any]) -> str:
    errors = document.get("errors") or [{}]
    return str(errors[0].get("message") or document.get("detail"))


async def _all_tasks(world: World) -> set[str]:
    answer = await world.gateway.get("/v1/tasks", params={"limit": 500})
    return {task["id"] for task in answer.raise_for_status().json()["items"]}
