"""Judging what waits, and counting: a million payloads are told in a few lines."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from waybill_cli.checking.fit import UNFIXABLE, VALID, Fit, fit
from waybill_cli.checking.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Line:
    """What is counted together."""

    where: str
    service: str
    kind: str
    dataschema: str
    fit: Fit


@dataclass(slots=True)
class Count:
    """How many, and the first of them."""

    sample: str
    number: int = 0


@dataclass(slots=True)
class Tally:
    """What was judged so far."""

    lines: dict[Line, Count] = field(default_factory=dict)

    def add(self, waiting: Waiting) -> None:
        """Judges one payload by the contracts of this release."""
        judged = fit(waiting.service, waiting.kind, waiting.dataschema, waiting.body, waiting.hidden)
        line = Line(waiting.where, waiting.service, waiting.kind, waiting.dataschema, judged)
        self.lines.setdefault(line, Count(waiting.id)).number += 1

    def number(self, *, verdict: str | None = None) -> int:
        """How many have this verdict; None: all."""
        return sum(count.number for line, count in self.lines.items() if verdict in {None, line.fit.verdict})

    @property
    def troubles(self) -> Mapping[Line, Count]:
        """What this release cannot read."""
        return {line: count for line, count in self.lines.items() if line.fit.verdict == UNFIXABLE}

    def documents(self) -> list[dict[str, Any]]:
        """All of it, for programs."""
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
        """In one sentence."""
        unfit = self.number(verdict=UNFIXABLE)
        older = self.number() - self.number(verdict=VALID) - unfit
        told = f"{self.number()} wait: {self.number(verdict=VALID)} fit, {older} of an older version are read"
        return f"{told}, {unfit} cannot be read"
