"""Requests and answers about password resets."""

from typing import Annotated

from pydantic import BaseModel, Field

from waybill_contracts.kinds import AcceptedAddress
from waybill_gateway.http import Text
from waybill_gateway.tasks import Timing, shown


class PostPasswordReset(Timing):
    """The person whose password is reset."""

    model_config = shown({"email": "ada@example.com"})

    email: AcceptedAddress


class RedeemPasswordReset(BaseModel):
    """The token of a mailed link."""

    model_config = shown({"token": "k3QmW0Yb1rT8nJ5xA2uV7cF4hL9pS6dE-gZ_oRiMqXs"})

    token: Annotated[Text, Field(min_length=1, max_length=200)]


class RedeemedPasswordReset(BaseModel):
    """The person whose password may be set now."""

    email: str
    task_id: str
