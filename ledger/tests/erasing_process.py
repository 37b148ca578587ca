"""Erases a person's tasks, two in a step, and is killed before the statement of this number; 0: never."""

import os
import signal
import sys

from sqlalchemy import event

from waybill_database import open_engine
from waybill_ledger import EraseStep, Person, erase_persons
from waybill_testkit.samples import NOON


def erase(url: str, digest: str, last_statement: int) -> None:
    engine = open_engine(url, connections=1)
    statements = 0

    @event.listens_for(engine, "before_cursor_execute")
    def count(*_: object) -> None:
        nonlocal statements
        statements += 1
        if statements == last_statement:
            os.kill(os.getpid(), signal.SIGKILL)

    after: str | None = ""
    while after is not None:
        with engine.begin() as connection:
            [done] = erase_persons(
                connection, [EraseStep(Person(digest), NOON, 2, "erasure-1", "eve", after)]
            )
        after = done.after


if __name__ == "__main__":
    erase(sys.argv[1], sys.argv[2], int(sys.argv[3]))
