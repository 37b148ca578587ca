"""Checks of payloads, counted by verdict: a million payloads make a few lines."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from waybill_cli.checking.fit import UNFIXABLE, VALID, Fit, check_payload
from waybill_cli.checking.waiting import Waiting
from waybill_contracts.registry import Registry


@dataclass(frozen=True, slots=True)
class Line:
    """Key of a count."""

    where: str
    service: str
    kind: str
    dataschema: str
    fit: Fit


@dataclass(slots=True)
class Count:
    """A number of payloads, and the id of the first."""

    sample: str
    number: int = 0


@dataclass(slots=True)
class Tally:
    """Counts of the payloads checked so far, by the contracts of a release."""

    registry: Registry
    lines: dict[Line, Count] = field(default_factory=dict)

    def add(self, waiting: Waiting) -> None:
        """Checks one payload."""
        judged = check_payload(
            self.registry, waiting.service, waiting.kind, waiting.dataschema, waiting.body, waiting.hidden
        )
        line = Line(waiting.where, waiting.service, waiting.kind, waiting.dataschema, judged)
        self.lines.setdefault(line, Count(waiting.id)).number += 1

    def number(self, *, verdict: str | None = None) -> int:
        """Number of payloads with this verdict; None: all."""
        return sum(count.number for line, count in self.lines.items() if verdict in {None, line.fit.verdict})

    @property
    def troubles(self) -> Mapping[Line, Count]:
        """Payloads that this release cannot read."""
        return {line: count for line, count in self.lines.items() if line.fit.verdict == UNFIXABLE}

    def documents(self) -> list[dict[str, Any]]:
        """All counts, for programs."""
        return [
            {
                "where": line.where,
                "service": line.service,
                "kind": line.kind,
                "dataschema": line.dataschema,
                "verdict": line.fit.verdict,
                "faults": [{"field": each.field, "message": each.message} for each in line.fit.faults],
                "count": count.number,
                "sample": count.sample,
            }
            for line, count in self.lines.items()
        ]

    def summary(self) -> str:
        """One sentence for people."""
        unfit = self.number(verdict=UNFIXABLE)
        older = self.number() - self.number(verdict=VALID) - unfit
        readable = (
            f"{self.number()} wait: {self.number(verdict=VALID)} fit, {older} of an older version are read"
        )
        return f"{readable}, {unfit} cannot be read"
