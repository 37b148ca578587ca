"""The databases that an application may have an outbox in."""

from typing import Final, Literal

from waybill.outbox.rows.row import OutboxError

#: The databases that an application may have it in.
DialectName = Literal["postgresql", "sqlite"]

_NAMES: Final[dict[str, DialectName]] = {"postgresql": "postgresql", "sqlite": "sqlite"}


def checked_database(name: str) -> DialectName:
    """The name of a database, as SQLAlchemy and Django have it.

    Raises:
        OutboxError: a relay could not take rows from it.
    """
    if name not in _NAMES:
        raise OutboxError(f"the outbox is made for postgresql and sqlite, not {name}")
    return _NAMES[name]
