"""A password reset: the mail, and a link that is good once."""

import re
from time import perf_counter

from waybill.problems import TokenRedeemedError
from waybill_devstack.tour.narrator import Narrator, TourError
from waybill_devstack.tour.world import World


async def password_reset(world: World, narrator: Narrator) -> None:
    """Asks for a reset, takes the link out of the mail, redeems it, and tries again."""
    narrator.chapter("A password reset")
    address = f"carla.{world.mark}@example.com"
    began = perf_counter()
    accepted = await world.gateway.call("POST", "/v1/password-resets", {"email": address})
    milliseconds = (perf_counter() - began) * 1000
    narrator.saw(f"POST /v1/password-resets: 202 after {milliseconds:.0f} ms, task {accepted['id']}")
    mail = await world.mail_to(address)
    narrator.saw(f"the mail arrived: “{mail['subject']}”")
    token = _token_in(mail["text"])
    redeemed = await world.gateway.redeem_password_reset(token)
    narrator.expect(redeemed.email == address, "the link is redeemed: 200", redeemed)
    try:
        again = await world.gateway.redeem_password_reset(token)
    except TokenRedeemedError as refused:
        narrator.saw(f"the second time it is refused: {refused.status}")
    else:
        raise TourError(f"the link was good twice: {again}")
    task = await world.outcome(accepted["id"])
    narrator.expect(task.state == "completed", "the task is completed", task)
    narrator.sum_up("a password reset was mailed; its link was good once, and once only")


def _token_in(text: str) -> str:
    match = re.search(r"[?&]token=([\w-]+)", text)
    if match is None:
        raise TourError(f"the mail holds no link with a token: {text}")
    return match[1]
