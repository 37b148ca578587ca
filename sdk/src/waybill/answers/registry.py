"""What the gateway answers about kinds and about the account."""

from datetime import datetime
from typing import Any

from pydantic import Field

from waybill.answers.base import Answered
from waybill.answers.tasks import Links


class KindLinks(Answered):
    """Paths of the gateway about a kind."""

    self: str


class Kind(Answered):
    """A kind of task, without its schemas.

    for kind in client.kinds():
        print(kind.name, kind.services, kind.version)
    """

    name: str
    owner: str
    #: Services that handle it.
    services: list[str]
    #: The newest version of its contract, and all.
    version: int
    versions: list[int]
    retired: bool
    #: Whether the broker is known to have its bindings.
    declared: bool
    links: KindLinks


class Contract(Answered):
    """The contract of one version of a kind.

    contract = client.kind("email.requested").contracts[-1]
    print(contract.version, contract.marks["person"], contract.data["properties"])
    """

    version: int
    dataschema: str
    #: Mark to the fields that carry it.
    marks: dict[str, list[str]]
    #: The JSON Schema of the data.
    data: dict[str, Any]


class HandlerPolicy(Answered):
    """How attempts of a kind are made; None: by the settings of the service.

    print(client.kind("email.requested").handlers[0].policy.attempts)
    """

    attempts: int | None = None
    soft_limit_seconds: float | None = None
    hard_limit_seconds: float | None = None
    concurrency: int | None = None


class Handler(Answered):
    """How a service handles a kind.

    for handler in client.kind("email.requested").handlers:
        print(handler.service, handler.release, handler.reads)
    """

    service: str
    release: str
    #: Versions that it reads.
    reads: list[int]
    policy: HandlerPolicy = Field(default_factory=HandlerPolicy)


class KindDetails(Kind):
    """A kind with its contracts and handlers.

    kind = client.kind("email.requested")
    print(kind.owner, [contract.version for contract in kind.contracts])
    """

    contracts: list[Contract]
    handlers: list[Handler]


class Counts(Answered):
    """Numbers of accepted tasks, and of those in each state now.

    total = client.account().total
    print(total.completed, "of", total.accepted)
    """

    accepted: int
    scheduled: int
    pending: int
    running: int
    retrying: int
    completed: int
    failed: int
    cancelled: int
    #: Of tasks that are no longer stored; they count with their outcome too.
    pruned: int


class UnplacedTask(Answered):
    """A task that cannot be placed, and why.

    for task in client.account().unplaced.items:
        print(task.id, task.reasons)
    """

    id: str
    kind: str
    state: str
    created_at: datetime
    reasons: list[str]
    links: Links


class Unplaced(Answered):
    """Number of unplaced tasks, and the first of them.

    assert client.account().unplaced.count == 0
    """

    count: int
    items: list[UnplacedTask]
    next_cursor: str | None


class Account(Answered):
    """The account of all tasks that were accepted in a time range.

    account = client.account()
    print(account.balanced, account.total.failed, account.kinds["invoice.requested"].accepted)
    """

    since: datetime | None
    until: datetime | None
    #: In each kind the states add up to the accepted tasks, and no task is unplaced.
    balanced: bool
    total: Counts
    kinds: dict[str, Counts]
    unplaced: Unplaced
