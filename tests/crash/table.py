"""The matrix as a table: printed, and written into the page that states the guarantees."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx

from tests.crash.count import Count
from tests.crash.rows import HARMS, ROWS, Harm, Row
from tests.crash.stack import NotInTimeError
from waybill_testkit.broker import Broker

#: The page, and the lines around the generated part.
PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"
BEGIN = "<!-- make crash: begin -->"
END = "<!-- make crash: end -->"
#: The versions that a result depends on.
PACKAGES = ("faststream", "aio-pika", "SQLAlchemy")

Cell = tuple[Row, Harm]


def is_right(row: Row, harm: Harm, count: Count) -> bool:
    """Whether the cell is as promised."""
    everything = count.accepted == count.called and count.ended == count.accepted and not count.lost
    return everything and count.at_rest and (not count.doubled or row.may_double(harm))


def in_words(row: Row, harm: Harm, counted: Count | NotInTimeError) -> str:
    """One cell's lines while the matrix runs."""
    if isinstance(counted, NotInTimeError):
        return f"WRONG  {row.name:18} {harm:6}  {counted}"
    verdict = "ok" if is_right(row, harm, counted) else "WRONG"
    declared = " (in the SMTP window)" if counted.doubled and row.may_double(harm) else ""
    cancelled = f"  cancelled {counted.cancelled}" if row.flow.is_cancelled else ""
    doubt = f" ({counted.in_doubt} may have happened)" if counted.in_doubt else ""
    numbers = (
        f"accepted {counted.accepted}/{counted.called}  ended {counted.ended}  lost {counted.lost}  "
        f"doubled {counted.doubled}{declared}  repeats recognised {counted.recognised}{cancelled}{doubt}"
    )
    return "; ".join((f"{verdict:5}  {row.name:18} {harm:6}  {numbers}", *counted.remarks))


def table(counts: Mapping[Cell, Count]) -> str:
    """The counts in Markdown: a row for each boundary, a column for each harm."""
    lines = [
        "| The process stands between | " + " | ".join(HARMS[harm] for harm in Harm) + " |",
        "|---|" + "---|" * len(Harm),
    ]
    for row in ROWS:
        if not any((row, harm) in counts for harm in Harm):
            continue
        cells = [_cell(row, harm, counts.get((row, harm))) for harm in Harm]
        lines.append(f"| {row.process}: {row.boundary} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def totals(counts: Mapping[Cell, Count]) -> str:
    """All cells in a sentence."""
    accepted = sum(count.accepted for count in counts.values())
    ended = sum(count.ended for count in counts.values())
    lost = sum(count.lost for count in counts.values())
    declared = sum(count.doubled for (row, harm), count in counts.items() if row.may_double(harm))
    doubled = sum(count.doubled for count in counts.values()) - declared
    recognised = sum(count.recognised for count in counts.values())
    cancelled = sum(count.cancelled for count in counts.values())
    in_doubt = sum(count.in_doubt for count in counts.values())
    return (
        f"{len(counts)} cells: {accepted} tasks accepted, {ended} with the outcome and effect that was due, "
        f"{lost} lost, {doubled} effects doubled; {declared} mails doubled in the SMTP window; "
        f"{recognised} repeats recognised; {cancelled} tasks cancelled, {in_doubt} of them with the remark "
        f"that their effect may have happened."
    )


def write_page(counts: Mapping[Cell, Count], broker: Broker, seconds: float) -> None:
    """Writes the counts into the page, with the date and the versions."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    made = (
        f"Made by `make crash` on {datetime.now(UTC):%Y-%m-%d} in {seconds / 60:.0f} min with "
        f"RabbitMQ {_broker_version(broker)}, Python {platform.python_version()}, {packages}, SQLite."
    )
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n\n{totals(counts)}\n\n{table(counts)}\n{END}{after}")


def _cell(row: Row, harm: Harm, count: Count | None) -> str:
    if count is None:
        return "not run" if harm in row.harms else "-"
    declared = " in the window" if count.doubled and row.may_double(harm) else ""
    cancelled = f" ({count.cancelled} cancelled)" if row.flow.is_cancelled else ""
    return f"{count.ended}/{count.accepted}{cancelled} · {count.lost} · {count.doubled}{declared}"


def _broker_version(broker: Broker) -> str:
    user = httpx.BasicAuth("guest", "guest")
    overview = httpx.get(f"{broker.management_url}/api/overview", auth=user, trust_env=False)
    return str(overview.raise_for_status().json()["rabbitmq_version"])
