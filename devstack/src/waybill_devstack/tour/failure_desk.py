"""The failure desk: dead letters are listed, redriven by a plan, and completed; one is edited."""

from typing import Any

from waybill_contracts.kinds import SyncRequested
from waybill_devstack.tour.narrator import Narrator, TourError
from waybill_devstack.tour.world import World, until


async def failure_desk(world: World, narrator: Narrator, failed: str) -> None:
    """Redrives a record that failed while the crm was down, and one that the crm refuses unless it is edited.

    Args:
        world: the running stack; the crm works again.
        narrator: prints each step.
        failed: the task whose record failed.
    """
    narrator.chapter("What failed is redriven")
    letter = await world.letter_of(failed)
    group = await world.gateway.call("GET", f"/v1/dead-letters/groups/{letter['group']}")
    narrator.saw(f"a group of the failure desk: “{group['message'][:60]}…”, {group['letters']}")
    redrive = await _redriven(world, narrator, {"ids": [letter["id"]], "note": "the crm is back"})
    narrator.expect(redrive["progress"]["succeeded"] == 1, "its canary came out well", redrive)
    await _completed(world, narrator, failed)

    wrong, right = f"fridda-{world.mark}", f"frida-{world.mark}"
    await world.crm_faults(status=422, id=wrong)
    narrator.did(f"the crm refuses the record {wrong} for good")
    record = SyncRequested(target="crm", resource="contacts", id=wrong, data={"name": "Frida"})
    refused = (await world.gateway.submit(record)).id
    letter = await world.letter_of(refused)
    edit = {"patch": [{"op": "replace", "path": "/id", "value": right}]}
    redrive = await _redriven(
        world, narrator, {"ids": [letter["id"]], "edits": [edit], "note": "a typing error"}
    )
    narrator.expect(redrive["dry_run"]["edited"] == 1, f"its id is edited to {right}", redrive)
    await _completed(world, narrator, refused)
    narrator.expect(await world.crm_record(right) is not None, f"the crm has the record {right}")
    await world.crm_faults()
    narrator.sum_up("two dead letters listed, planned, redriven and completed, one of them edited")


async def _redriven(world: World, narrator: Narrator, wish: dict[str, Any]) -> dict[str, Any]:
    """Plans, starts and awaits a redrive of one letter."""
    plan = await world.gateway.call("POST", "/v1/redrives", wish | {"canary": 1})
    narrator.saw(f"a plan, nothing sent yet: {plan['dry_run']['destinations']}, hash {plan['hash'][:12]}…")
    path = plan["links"]["self"]
    await world.gateway.call("POST", f"{path}/start", {"hash": plan["hash"]})

    async def ended() -> dict[str, Any] | None:
        redrive: dict[str, Any] = await world.gateway.call("GET", path)
        if redrive["state"] == "halted":
            raise TourError(f"the redrive halted: {redrive['halted_because']}")
        return redrive if redrive["ended_at"] is not None else None

    return await until("the redrive to end", ended)


async def _completed(world: World, narrator: Narrator, task_id: str) -> None:
    task = await world.gateway.get(task_id)
    types = [event.type for event in await world.timeline(task_id)]
    narrator.expect(
        task.state == "completed" and "task.redriven" in types,
        "the same task is completed now, and its timeline shows both runs",
        task,
    )
