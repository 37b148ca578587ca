"""Spawned tasks: what a handler asks for travels with the outcome of its attempt, and is accepted with it."""

import hashlib
from datetime import timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from waybill_contracts.wire.text_fields import Name

#: Tasks that one attempt may ask for.
MAX_SPAWNED: Final = 1000
#: Bytes of the data of all of them, as they are sent: far below the 16 MiB that RabbitMQ takes in a message,
#: and few enough that many such messages fit into the memory of the status service.
MAX_SPAWNED_BYTES: Final = 2 * 1024 * 1024
#: The latest start of a task, from its submission.
MAX_DELAY: Final = timedelta(days=3660)
#: Bits of a UUID after the time that a UUIDv7 begins with.
_AFTER_TIME: Final = 80
_VERSION_8: Final = (0xF << 76, 0x8 << 76)
_VARIANT: Final = (0b11 << 62, 0b10 << 62)


class SpawnedTask(BaseModel):
    """One task to accept."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    #: See `spawned_task_id`.
    id: Annotated[Name, Field(max_length=36)]
    kind: Annotated[Name, Field(max_length=64)]
    dataschema: Annotated[Name, Field(max_length=128)]
    #: The data as JSON, its sensitive fields sealed for `id`.
    payload: str
    #: Not before this time; None: at once.
    due_at: AwareDatetime | None = None
    priority: Literal["low", "high"] | None = None


def spawned_task_id(parent: str, effect_key: str, number: int) -> str:
    """The id of a spawned task: equal for equal arguments, so that a repeated attempt makes no second task.

    A UUIDv8 (RFC 9562, 5.8). It begins with the time in the id of its parent, and is listed beside it.

    Args:
        parent: id of the task that spawns it.
        effect_key: key of the effect of the subtask that spawns it; see `Attempt.effect_key`.
        number: how many tasks the attempt has spawned before.
    """
    value = int.from_bytes(hashlib.sha256(f"{effect_key}/{number}".encode()).digest()[:16])
    try:
        time = UUID(parent).int >> _AFTER_TIME
    except ValueError:  # an id of an outside test: any text
        time = value >> _AFTER_TIME
    value = time << _AFTER_TIME | value & (1 << _AFTER_TIME) - 1
    for mask, bits in (_VERSION_8, _VARIANT):
        value = value & ~mask | bits
    return str(UUID(int=value))
