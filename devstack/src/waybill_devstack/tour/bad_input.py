"""Bad input: refused with advice, and nothing of it stored."""

from collections.abc import Awaitable
from pathlib import Path

from waybill.client import AcceptedTask
from waybill.problems import ProblemError
from waybill_devstack.tour.narrator import Narrator, TourError
from waybill_devstack.tour.world import World

#: Larger than the upload limit of the local stack.
OVERSIZED_BYTES = 30 * 1024 * 1024
#: Where the truncated JPEG ends: in the middle of its picture.
TRUNCATED_AT = 0.6


async def bad_input(world: World, narrator: Narrator, folder: Path) -> None:
    """Sends what must be refused."""
    narrator.chapter("Bad input")
    tasks_before, files_before = await _all_tasks(world), await world.backstage.stored_files()
    gateway = world.gateway
    mail = {"to": "not an address", "subject": "Hi", "text": "Hello"}
    await _refused(narrator, "a wrong address", gateway.submit("email.requested", mail))
    photograph = (folder / "photograph.jpg").read_bytes()
    uploads = {
        "a text file called .jpg": b"This is no photograph, whatever its name says.\n" * 100,
        "a truncated JPEG": photograph[: int(len(photograph) * TRUNCATED_AT)],
        "an oversized upload": photograph + bytes(OVERSIZED_BYTES),
    }
    for what, content in uploads.items():
        await _refused(narrator, what, gateway.submit_image(content, name="holiday.jpg"))
    record = {"target": "nowhere", "resource": "users", "id": "1", "data": {}}
    await _refused(narrator, "an unknown sync target", gateway.submit("sync.requested", record))
    narrator.expect(await _all_tasks(world) == tasks_before, "nothing was enqueued")
    narrator.expect(
        await world.backstage.stored_files() == files_before, "nothing was left in the object store"
    )
    narrator.sum_up("bad input was refused with what to do about it, and left nothing behind")


async def _refused(narrator: Narrator, what: str, call: Awaitable[AcceptedTask]) -> None:
    try:
        accepted = await call
    except ProblemError as problem:
        advice = problem.errors[0].message if problem.errors else problem.detail
        narrator.expect(
            not problem.may_have_taken_effect and bool(problem.detail),
            f"{what}: {problem.status}, “{advice}”",
            problem,
        )
    else:
        raise TourError(f"{what} was accepted: {accepted}")


async def _all_tasks(world: World) -> set[str]:
    return {task.id async for task in world.gateway.list(limit=500)}
