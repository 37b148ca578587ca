"""Twenty mails, and the email service killed in the middle of them."""

import asyncio
from collections import Counter

from waybill_contracts.kinds import EmailRequested
from waybill_devstack.tour.narrator import Narrator
from waybill_devstack.tour.world import World, until

MAILS = 20
#: Mails that arrive before the mailbox stalls and the service is killed.
BEFORE_THE_STALL = 5


async def killed_service(world: World, narrator: Narrator) -> None:
    """Kills the email service while it sends mails, and counts what arrives."""
    narrator.chapter(f"kill -9 of the email service in the middle of {MAILS} mails")
    addresses = [f"guest-{number:02d}.{world.mark}@example.com" for number in range(1, MAILS + 1)]
    first = await asyncio.gather(*(_post(world, address) for address in addresses[:BEFORE_THE_STALL]))
    await asyncio.gather(*(world.outcome(task_id) for task_id in first))
    narrator.did(f"{BEFORE_THE_STALL} of {MAILS} mails have arrived; now the mail server stalls")
    await world.mail_faults(mode="hang")
    rest = await asyncio.gather(*(_post(world, address) for address in addresses[BEFORE_THE_STALL:]))
    narrator.did(f"the other {len(rest)} are still accepted")

    async def in_hand() -> int | None:
        states = Counter([(await world.gateway.get(task_id)).state for task_id in rest])
        return states["running"] or None

    running = await until("the service to send mails", in_hand)
    killed = await world.backstage.kill("email")
    narrator.did(f"{killed}: the email service dies while it sends {running} mails")
    await world.mail_faults(mode="ok")

    async def back() -> str | None:
        return await world.backstage.back_as("email")

    narrator.saw(f"it was started again: {await until('the email service', back)}")
    outcomes = Counter([(await world.outcome(task_id)).state for task_id in [*first, *rest]])
    narrator.expect(outcomes == {"completed": MAILS}, f"all {MAILS} tasks are completed", outcomes)
    arrived = Counter({address: len(await world.mails_to(address)) for address in addresses})
    narrator.expect(
        set(arrived.values()) == {1}, f"all {MAILS} mails arrived, each once", arrived.most_common(3)
    )
    narrator.sum_up(f"the email service was killed at work; all {MAILS} mails arrived, each once")


async def _post(world: World, address: str) -> str:
    mail = EmailRequested(to=address, subject="You are invited", text="Please come.")
    return (await world.gateway.submit(mail)).id
