"""Many rounds put together: medians, spreads, and valid ratios."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.figures import Figure, Round, Usage


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over all rounds."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times a peer's figure ours is: the median of each round's own ratio, or why there is none."""

    value: Spread | None
    refused: str | None = None


class Summary:
    """What all rounds came to."""

    def __init__(self, rounds: Sequence[Round]) -> None:
        self.rounds = rounds

    def systems(self) -> list[str]:
        """The systems' names, in the order in which they were measured."""
        return list(dict.fromkeys(each.system for each in self.rounds))

    def figure(self, system: str, figure: Figure) -> Spread | None:
        """A figure of a system; None if it has none."""
        values = [each.values[figure.key] for each in self._of(system) if figure.key in each.values]
        return _spread(values) if values else None

    def roles(self, system: str) -> list[str]:
        """The roles of a system's processes."""
        return list(dict.fromkeys(role for each in self._of(system) for role in each.usage))

    def usage(self, system: str, role: str, value: Callable[[Usage], float]) -> Spread | None:
        """What a role's processes used."""
        values = [value(each.usage[role]) for each in self._of(system) if role in each.usage]
        return _spread(values) if values else None

    def ratio(self, ours: str, theirs: str, figure: Figure) -> Ratio:
        """Ours to theirs; refused if any round of either had faults, or a figure is missing."""
        pairs = list(zip(self._of(ours), self._of(theirs), strict=True))
        for pair in pairs:
            for each in pair:
                if each.faults:
                    return Ratio(None, f"{each.system}: {each.faults[0]}")
                if not each.values.get(figure.key):
                    return Ratio(None, f"{each.system} has no figure")
        return Ratio(_spread([one.values[figure.key] / other.values[figure.key] for one, other in pairs]))

    def faults(self) -> list[str]:
        """All that went wrong."""
        return [f"{each.system}: {fault}" for each in self.rounds for fault in each.faults]

    def _of(self, system: str) -> list[Round]:
        return [each for each in self.rounds if each.system == system]


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))
