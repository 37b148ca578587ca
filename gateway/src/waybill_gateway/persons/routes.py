"""The data of one person: how much there is, and its erasure, step by step."""

import asyncio
from dataclasses import asdict
from functools import partial
from uuid import uuid4

from fastapi import APIRouter

from waybill_contracts.states import State
from waybill_gateway.auth import Actor, GuardedJsonRoute
from waybill_gateway.persons.models import (
    ERASE_STEP,
    ErasePerson,
    EraseTasks,
    ErasureStep,
    PersonQuery,
    PersonView,
)
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.tasks import person_of
from waybill_ledger import (
    Cancellation,
    EraseStep,
    NamedTasks,
    Person,
    Stopping,
    cancel,
    erase_persons,
    holdings_of,
    open_tasks,
)
from waybill_worker.observe import get_logger

log = get_logger(__name__)

router = APIRouter(tags=["persons"], route_class=GuardedJsonRoute)


@router.post("/v1/persons/lookups")
async def look_up_person(wanted: PersonQuery, resources: ResourcesDep) -> PersonView:
    """Returns how much data about a person is stored, and nothing of its content.

    Tasks about a person are those of a kind whose contract marks the field with the person's address, such as
    mails to the address, its password resets, and users with it. A kind without that mark is about no person.
    """
    held = await resources.records.read(partial(holdings_of, person=_person(resources, wanted)))
    return PersonView(
        tasks={state: held.tasks.get(state, 0) for state in State},
        open=sum(number for state, number in held.tasks.items() if not state.is_terminal),
        letters=held.letters,
        schedules=held.schedules,
        password_resets=held.password_resets,
        idempotency_keys=held.idempotency_keys,
        originals=held.originals,
    )


@router.post("/v1/persons/erasures")
async def erase_person(wanted: ErasePerson, resources: ResourcesDep, actor: Actor) -> ErasureStep:
    """Erases the data of a person: one short step.

    Repeat the call with `after` and `erasure` until `after` is null. Each step is complete in itself, so a
    caller may stop at any step and begin again. Schedules and reset links are deleted. Of tasks that have
    ended, payload, results, error texts, bodies of dead letters and the subject are erased; ids, kinds,
    states and times stay, so that the account adds up. Tasks without an outcome do not change: `open` counts
    them, and a later erasure includes them. The audit trail names the actor and the counts, not the person.
    """
    step = _step(resources, _person(resources, wanted), wanted, actor, after=str(wanted.after or ""))
    return await _erase(resources, step, cancel_open=wanted.cancel_open)


@router.post("/v1/erasures")
async def erase_tasks(wanted: EraseTasks, resources: ResourcesDep, actor: Actor) -> ErasureStep:
    """Erases the content of tasks about a person that are not found by an address.

    These are tasks of kinds whose contract marks no person, such as records and images. It works as for the
    tasks of a person; it also deletes the files of the tasks, unless another task has the same file.
    """
    step = _step(resources, NamedTasks(tuple(map(str, wanted.tasks))), wanted, actor)
    return await _erase(resources, step, cancel_open=wanted.cancel_open)


def _step(
    resources: Resources,
    whose: Person | NamedTasks,
    wanted: ErasePerson | EraseTasks,
    actor: str,
    after: str = "",
) -> EraseStep:
    return EraseStep(whose, resources.records.now(), ERASE_STEP, str(wanted.erasure or uuid4()), actor, after)


async def _erase(resources: Resources, step: EraseStep, *, cancel_open: bool) -> ErasureStep:
    if cancel_open:
        await _cancel_open(resources, step)
    done = await resources.records.write(erase_persons, step)
    counts = asdict(done.erased)
    if any(counts.values()):
        log.info("erased data of a person", erasure=step.erasure, actor=step.actor, **counts)
    about = {"erasure": step.erasure, "open": done.open, "after": done.after}
    return ErasureStep.model_validate(about | counts)


async def _cancel_open(resources: Resources, step: EraseStep) -> None:
    wishes = [
        Cancellation(task_id, step.now, step.target.tenant)
        for task_id in await resources.records.read(partial(open_tasks, step=step))
    ]
    answers = await asyncio.gather(*(resources.records.write(cancel, wish) for wish in wishes))
    for answer in answers:
        for message in answer.messages if isinstance(answer, Stopping) else ():
            resources.relay.publish_soon(message, step.now)


def _person(resources: Resources, wanted: PersonQuery) -> Person:
    return Person(person_of(resources, wanted.address, field="address"), wanted.tenant)
