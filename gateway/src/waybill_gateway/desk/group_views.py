"""Answers about groups of the failure desk."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict

from waybill_ledger.deadletters import GroupState, LetterState
from waybill_ledger.deadletters.groups import Group


class GroupLinks(BaseModel):
    """Links."""

    self: str
    letters: str
    export: str


class GroupView(BaseModel):
    """Letters with the same failure."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    state: GroupState
    service: str
    kind: str | None
    error_type: str
    message: str
    frame: str | None
    letters: dict[LetterState, int]
    total: int
    first_seen: datetime
    last_seen: datetime
    trend: list[int]
    sample: int
    note: str | None
    links: GroupLinks

    @classmethod
    def of(cls, group: Group) -> Self:
        """The view of a group."""
        here = f"/v1/dead-letters/groups/{group.id}"
        links = GroupLinks(self=here, letters=f"/v1/dead-letters?group={group.id}", export=f"{here}/export")
        values = {name: getattr(group, name) for name in cls.model_fields if name != "links"}
        return cls.model_validate(values | {"links": links})


class GroupPageView(BaseModel):
    """A page of groups, the latest first."""

    items: list[GroupView]
    next_cursor: str | None
