"""The numbers of the overview in a terminal: what is wrong, rates, times, what is open."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from waybill_cli.output.output import Output
from waybill_cli.output.times import span, when

#: What lines of the chart are made of, the lowest first.
_BARS: Final = " ▁▂▃▄▅▆▇█"
#: Kinds that are listed.
_MOST_KINDS: Final = 15
#: Steps of a line: as many as fit beside its name on the narrowest terminal.
_STEPS: Final = 50
_OUTCOMES: Final = ("accepted", "completed", "failed", "cancelled")
_OPEN: Final = ("pending", "running", "retrying", "scheduled")


def show_stats(out: Output, stats: Mapping[str, Any], within: str) -> None:
    """Shows an answer of `GET /v1/stats`."""
    out.line(f"Waybill, {when(stats['until'])}")
    out.fields(
        ("!!" if found["weight"] == "bad" else "!", f"{found['title']}. {found['words']}")
        for found in stats["findings"]
    )
    if not stats["findings"]:
        out.line("Nothing needs you.")
    out.line("")
    for name in ("accepted", "completed", "failed"):
        numbers = [step[name] for step in stats["series"]][-_STEPS:]
        out.line(f"{name:<10} {_bars(numbers)} {max(numbers, default=0)} in {span(stats['step_seconds'])}")
    out.line("")
    _show_kinds(out, stats, within)
    if stats["now"] is not None:
        out.line("")
        _show_now(out, stats["now"])


def _show_kinds(out: Output, stats: Mapping[str, Any], within: str) -> None:
    busiest = sorted(stats["kinds"].items(), key=lambda kind: -kind[1]["accepted"] - kind[1]["completed"])
    parts = [("total", stats["total"]), *busiest[:_MOST_KINDS]]
    rows = (
        (
            name,
            *(_rate(part[outcome], stats["seconds"]) for outcome in _OUTCOMES),
            _times(part["pickup_seconds"]),
            _times(part["handler_seconds"]),
        )
        for name, part in parts
    )
    out.table(
        (f"A MINUTE, {within}", *map(str.upper, _OUTCOMES), "PICKUP P50 P95 P99", "HANDLER P50 P95 P99"),
        rows,
    )


def _show_now(out: Output, now: Mapping[str, Any]) -> None:
    queues = now["queues"] or {}
    out.table(
        ("OPEN", *map(str.upper, _OPEN), "OLDEST", "QUEUED", "CONSUMERS"),
        (_service(name, now["services"].get(name), queues) for name in _services(now, queues)),
    )
    outbox = now["outbox_tasks"]
    facts = [f"measured {when(now['measured_at'])}", f"{now['accounting_gap']} cannot be placed"]
    if outbox is not None:
        facts.append(f"{outbox} in the outbox, the oldest for {span(now['outbox_lag_seconds'])}")
    out.line("")
    out.line("; ".join(facts))


def _services(now: Mapping[str, Any], queues: Iterable[str]) -> list[str]:
    consuming = (name.removesuffix(".work") for name in queues if name.endswith(".work"))
    return sorted({*now["services"], *consuming})


def _service(
    name: str, work: Mapping[str, Any] | None, queues: Mapping[str, Mapping[str, Any]]
) -> Sequence[Any]:
    states = {} if work is None else work["subtasks"]
    waited = None if work is None else work["oldest_pending_seconds"]
    queue = queues.get(f"{name}.work", {})
    return (
        name,
        *(states.get(state, 0) for state in _OPEN),
        None if waited is None else span(waited),
        queue.get("messages"),
        queue.get("consumers"),
    )


def _bars(numbers: Sequence[int]) -> str:
    most = max(numbers, default=0) or 1
    # What there is can be seen, however little.
    return "".join(_BARS[-(-number * (len(_BARS) - 1) // most)] for number in numbers)


def _rate(number: int, seconds: float) -> str:
    return f"{number / seconds * 60:.3g}" if number else "0"


def _times(percentiles: Mapping[str, float] | None) -> str | None:
    return (
        None if percentiles is None else " ".join(_time(percentiles[name]) for name in ("p50", "p95", "p99"))
    )


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.3g}s"
