"""The comparison as Markdown: for the terminal, the README and a file."""

from collections.abc import Callable, Mapping, Sequence

from bench.figures import COMPARED, FEW_TASKS, FIGURES, FULL_LOAD, HALF_LOAD, Figure, Usage
from bench.summary import Spread, Summary

#: Placeholder of a missing figure.
NONE = "-"


def table(
    summary: Summary, machine: Mapping[str, str], about: Mapping[str, tuple[str, str]], ours: Sequence[str]
) -> str:
    """Everything that a reader needs to judge the figures.

    Args:
        summary: of all rounds.
        machine: from `machine.describe`.
        about: of each system what it records, and how it was set up.
        ours: the systems that the others are compared with.
    """
    systems = summary.systems()
    # Without our own there is nothing to compare the others with.
    ratios = [
        _grid([f"{one} is … times", *systems], _ratios(summary, systems, one))
        for one in ours
        if one in systems
    ]
    parts = [
        "\n".join(f"{name}: {value}  " for name, value in machine.items()),
        _grid(["", *systems], _figures(summary, systems)),
        *ratios,
        _grid(["processes", *systems], _processes(summary, systems)),
        _grid(
            ["system", "records", "set up"],
            [[name, *about[name]] for name in systems if name in about],
        ),
        _notes(summary),
    ]
    return "\n\n".join(part for part in parts if part)


def _figures(summary: Summary, systems: Sequence[str]) -> list[list[str]]:
    return [
        [
            f"{figure.title}, {figure.unit}",
            *(_text(summary.figure(name, figure), figure.digits) for name in systems),
        ]
        for figure in FIGURES
    ]


def _ratios(summary: Summary, systems: Sequence[str], ours: str) -> list[list[str]]:
    return [[figure.title, *(_ratio(summary, ours, name, figure) for name in systems)] for figure in COMPARED]


def _ratio(summary: Summary, ours: str, theirs: str, figure: Figure) -> str:
    if ours == theirs:
        return NONE
    ratio = summary.ratio(ours, theirs, figure)
    return "refused" if ratio.value is None else _text(ratio.value, 2)


def _processes(summary: Summary, systems: Sequence[str]) -> list[list[str]]:
    roles = list(dict.fromkeys(role for name in systems for role in summary.roles(name)))
    measures: list[tuple[str, Callable[[Usage], float], int]] = [
        ("number", lambda usage: usage.processes, 0),
        *(
            (f"CPU a task at {load}, µs", lambda usage, load=load: usage.cpu_us_per_task.get(load, 0.0), 0)
            for load in (FULL_LOAD, HALF_LOAD, FEW_TASKS)
        ),
        ("idle, MB", lambda usage: usage.idle_mb, 0),
        ("after load, MB", lambda usage: usage.loaded_mb, 0),
    ]
    rows = []
    for role in roles:
        for title, value, digits in measures:
            cells = [_text(summary.usage(name, role, value), digits) for name in systems]
            if any(cell not in {NONE, "0"} for cell in cells):
                rows.append([f"{role}: {title}", *cells])
    return rows


def _notes(summary: Summary) -> str:
    notes = [f"- REFUSED: {fault.splitlines()[0]}" for fault in summary.faults()]
    twice = {each.system: 0 for each in summary.rounds}
    for each in summary.rounds:
        twice[each.system] += each.run_twice
    notes += [f"- {name} ran {count} tasks more than once" for name, count in twice.items() if count]
    return "\n".join(notes)


def _text(spread: Spread | None, digits: int) -> str:
    if spread is None:
        return NONE
    middle = f"{spread.median:,.{digits}f}"
    if spread.lowest == spread.highest:
        return middle
    return f"{middle} ({spread.lowest:,.{digits}f} to {spread.highest:,.{digits}f})"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )
