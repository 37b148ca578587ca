"""`.waybill/stack.json`: the addresses of a running stack, for users and other programs."""

import json
import os
from pathlib import Path

from pydantic import BaseModel, Field


class RunningProcess(BaseModel):
    """One process of the stack."""

    name: str
    pid: int


class StackFile(BaseModel):
    """Content of the file."""

    gateway: str
    mailbox: str
    crm: str
    amqp: str
    management: str | None = None
    processes: list[RunningProcess]
    #: The supervisor: while it lives, the stack is up.
    supervisor: int
    #: Folder of its data and logs.
    state: Path
    #: `WAYBILL_…` variables of a service that joins the stack, for `waybill run`; `{service}` is its name.
    service_settings: dict[str, str] = {}
    path: Path = Field(exclude=True)


def write_stackfile(stack: StackFile) -> None:
    """Replaces the file atomically: a reader never sees half of it."""
    unfinished = stack.path.with_suffix(".tmp")
    # It has the key that seals, and the password of the broker.
    unfinished.touch(mode=0o600)
    unfinished.write_text(stack.model_dump_json(indent=2, exclude_none=True) + "\n")
    unfinished.replace(stack.path)


def read_stackfile(path: Path) -> StackFile:
    """Reads the file.

    Raises:
        FileNotFoundError: no stack was started here, or it was stopped in order.
    """
    return StackFile(**json.loads(path.read_text()), path=path)


def running_stack(path: Path) -> StackFile | None:
    """The stack that is up, if one is; a file left by a killed supervisor does not count."""
    try:
        stack = read_stackfile(path)
    except FileNotFoundError:
        return None
    try:
        os.kill(stack.supervisor, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it runs, as another user
    return stack
