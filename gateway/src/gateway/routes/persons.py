"""What is held of one person."""

from functools import partial
from http import HTTPStatus

from fastapi import APIRouter

from contracts.states import State
from gateway.guarded_route import GuardedJsonRoute
from gateway.person_models import PersonQuery, PersonView
from gateway.problems import problem_responses
from gateway.resources import Resources, Uses
from gateway.routes.tasks import person_of
from ledger import Person, holdings_of

router = APIRouter(tags=["persons"], route_class=GuardedJsonRoute)

_PROBLEMS = problem_responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


@router.post("/v1/persons/lookups", responses=_PROBLEMS)
async def look_up_person(wanted: PersonQuery, resources: Uses) -> PersonView:
    """Tells how much is held of a person, and nothing of what it says.

    Tasks count that are about the person: mails to the address, password resets of it, users with it. Records
    and images are about nobody.
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


def _person(resources: Resources, wanted: PersonQuery) -> Person:
    return Person(person_of(resources, wanted.address, field="address"), wanted.tenant)
