"""What a migration may not do to a table that is large and worked on meanwhile (PostgreSQL).

Source: PostgreSQL's manual, ALTER TABLE (notes), CREATE INDEX (concurrently), explicit locking.
"""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Final

#: Tables so small that any change of them is over at once: one row for each schedule, group, redrive.
SMALL: Final = frozenset(
    {"alembic_version", "alert_groups", "alert_window", "dead_letter_groups", "redrives", "schedules"}
)


@dataclass(frozen=True)
class Rule:
    """A sort of statement that is refused; `table` in its pattern is whom it concerns."""

    pattern: re.Pattern[str]
    instead: str


def _rule(pattern: str, instead: str) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE | re.DOTALL), instead)


_ALTER: Final = r"ALTER TABLE (?:ONLY )?(?P<table>\w+) "
RULES: Final = (
    _rule(
        r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY )\w+ ON (?P<table>\w+)",
        "holds up every writer until the index is built: "
        "use waybill_ledger.migrations.live_changes.create_index",
    ),
    _rule(
        r"DROP INDEX (?!CONCURRENTLY )",
        "holds up readers and writers: use waybill_ledger.migrations.live_changes.drop_index",
    ),
    _rule(
        _ALTER + r"ADD COLUMN (?=.*NOT NULL)(?!.*DEFAULT)",
        "fails on rows that are there, and on those that the last release goes on writing: allow NULL, or "
        "give a server_default",
    ),
    _rule(
        _ALTER + r"ADD COLUMN .*DEFAULT (?:\w+\s*\(|\(|nextval)",
        "may write every row anew: a server_default must be a constant",
    ),
    _rule(
        _ALTER + r"ADD COLUMN .*(?:UNIQUE|PRIMARY KEY|REFERENCES|SERIAL|GENERATED)",
        "builds an index, reads or writes every row while it holds up everybody: add the column alone, then "
        "waybill_ledger.migrations.live_changes.create_index",
    ),
    _rule(
        _ALTER + r"ADD (?:CONSTRAINT|UNIQUE|PRIMARY|FOREIGN|CHECK|EXCLUDE)(?!.*(?:NOT VALID|USING INDEX))",
        "reads every row while it holds up everybody: a unique index is made with "
        "waybill_ledger.migrations.live_changes.create_index, another constraint NOT VALID, "
        "and validated by a later migration",
    ),
    _rule(
        _ALTER + r"ALTER COLUMN \w+ (?:SET DATA TYPE|TYPE|SET NOT NULL)",
        "reads or writes every row while it holds up everybody: add another column",
    ),
    _rule(
        r"(?:UPDATE|DELETE FROM|INSERT INTO|TRUNCATE(?: TABLE)?) (?P<table>\w+)",
        "writes many rows in one transaction, under which everybody waits: have the code that runs fill the "
        "column in small steps, and read NULL until then",
    ),
)
#: What a release that still runs would miss.
_REMOVALS: Final = (
    _rule(_ALTER + r"DROP (?:COLUMN|CONSTRAINT)", "takes away"),
    _rule(_ALTER + r"RENAME", "renames"),
    _rule(r"DROP TABLE (?:IF EXISTS )?(?P<table>\w+)", "takes away"),
)
_REMOVAL: Final = (
    "takes away what the release that still runs works with: stop using it first, and take it away a release "
    "later; then say in the migration from which revision on nothing uses it: UNUSED_SINCE = '…'"
)
#: What is done outside of a transaction, and ends the one before it: whatever else stands there is committed
#: while the revision is still the old one, so that an upgrade that is cut off there would do it again.
_CONCURRENT: Final = re.compile(r"(?:CREATE (?:UNIQUE )?|DROP )INDEX CONCURRENTLY ", re.IGNORECASE)
_BESIDE_CONCURRENT: Final = re.compile(
    r"(?:(?:SET|RESET) lock_timeout\b|(?:INSERT INTO|UPDATE) alembic_version\b|(?:BEGIN|COMMIT)$)",
    re.IGNORECASE,
)
_NOT_BESIDE: Final = (
    "stands beside what cannot be part of a transaction, so that an upgrade that is cut off between them can "
    "never be finished: give the indexes a migration of their own"
)
_CREATED: Final = re.compile(r"CREATE TABLE (?P<table>\w+)", re.IGNORECASE)
_COMMENT: Final = re.compile(r"--[^\n]*")


def complaints(sql: str, *, may_remove: bool = False) -> list[str]:
    """What is wrong with a migration, in words that lead to what is right.

    Args:
        sql: its statements as Alembic writes them for PostgreSQL.
        may_remove: nothing that runs uses any more what it takes away.
    """
    statements = [" ".join(part.split()) for part in _COMMENT.sub("", sql).split(";") if part.strip()]
    # What it makes itself is empty, and nobody works on it yet.
    harmless = SMALL | {made["table"] for made in map(_CREATED.match, statements) if made}
    found = [
        f"{statement!r} {wrong}"
        for statement in statements
        for wrong in _wrong(statement, harmless, may_remove=may_remove)
    ]
    return found + [f"{statement!r} {_NOT_BESIDE}" for statement in _mixed_in(statements)]


def _mixed_in(statements: list[str]) -> list[str]:
    """What is no part of making or dropping indexes while others work, in a migration that does that."""
    if not any(map(_CONCURRENT.match, statements)):
        return []
    return [each for each in statements if not (_CONCURRENT.match(each) or _BESIDE_CONCURRENT.match(each))]


def _wrong(statement: str, harmless: Container[str], *, may_remove: bool) -> Iterator[str]:
    for rule in RULES:
        if _concerns(rule, statement, harmless):
            yield rule.instead
    # Of small tables too: it is the code that breaks.
    if not may_remove and any(_concerns(rule, statement, ()) for rule in _REMOVALS):
        yield _REMOVAL


def _concerns(rule: Rule, statement: str, harmless: Container[str]) -> bool:
    found = rule.pattern.match(statement)
    return found is not None and found.groupdict().get("table") not in harmless
