"""Handler tasks, and the gateway that takes their tasks, for tests."""

from typing import Annotated, Any

from waybill import Attempt, Person, Sensitive, Service, SyncAttempt
from waybill_ledger.registry import ApplyManifest, apply_manifests, confirm_declared
from waybill_testkit.gateway.served import Served
from waybill_testkit.samples import NOON

service = Service("reminders")


@service.task
async def remind(email: Annotated[str, Sensitive, Person], days: int = 3) -> dict[str, object]:
    """Reminds a customer of an unpaid invoice."""
    return {"days": days, "letters": len(email)}


@service.task
def archive(month: str, *, pages: tuple[int, ...] = ()) -> dict[str, object]:
    return {"month": month, "pages": pages}


@service.task
async def tell(attempt: Attempt, text: str) -> dict[str, object]:
    await attempt.begin_effect()
    await attempt.progress(0.5, text)
    return {"id": attempt.submit(remind.event(text)), "attempt": attempt.attempt}


@service.task
def draw(attempt: SyncAttempt, text: str) -> dict[str, object]:
    attempt.checkpoint()
    attempt.progress(0.5, text)
    return {"id": attempt.submit(remind.event(text)), "attempt": attempt.attempt}


def register(gateway: Served) -> Served:
    """Registers the service of these tasks."""
    return register_service(gateway, service)


def register_service(gateway: Served, service: Service[Any]) -> Served:
    """Registers a service, as `waybill services apply` and the status service do."""
    applied: list[Any] = []
    request = ApplyManifest(service.manifest(), NOON, "ann")
    gateway.write(lambda connection: applied.extend(apply_manifests(connection, [request])))
    assert applied[0].refusals == ()
    gateway.write(lambda connection: confirm_declared(connection, [(applied[0].registry, NOON)]))
    return gateway
