"""The comparison as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from bench.figures import COMPARED, PICKUP_50, PICKUP_99, Figure
from bench.summary import Summary

#: Ours stands out, the limit stands back.
_OURS, _PEER, _LIMIT = "#d1495b", "#4f6d8f", "#b8bec6"


def draw(summary: Summary, path: Path, *, ours: Sequence[str], limit: str, title: str) -> None:
    """Writes a PNG: the rates side by side, then the pickup latencies, each with its spread."""
    panels = (*COMPARED, PICKUP_50, PICKUP_99)
    picture = Picture(
        figsize=(max(3.1, 0.45 * len(summary.systems())) * len(panels), 3.8), layout="constrained"
    )
    for ax, panel in zip(picture.subplots(1, len(panels)), panels, strict=True):
        _bars(ax, summary, panel, ours, limit)
    picture.suptitle(title, fontsize=10)
    picture.savefig(path, dpi=150)


def _bars(ax: Axes, summary: Summary, figure: Figure, ours: Sequence[str], limit: str) -> None:
    shown = [(name, spread) for name in summary.systems() if (spread := summary.figure(name, figure))]
    for place, (name, spread) in enumerate(shown):
        colour = _OURS if name in ours else _LIMIT if name == limit else _PEER
        error = [[spread.median - spread.lowest], [spread.highest - spread.median]]
        ax.bar(place, spread.median, color=colour, yerr=error, ecolor="#333333", capsize=3)
        ax.annotate(
            f"{spread.median:,.{figure.digits}f}",
            (place, spread.highest),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    ax.set_xticks(
        range(len(shown)),
        [name.removeprefix("FastAPI + ") for name, _ in shown],
        rotation=45,
        ha="right",
        fontsize=8,
    )
    direction = "more is better" if figure.more_is_better else "less is better"
    ax.set_title(f"{figure.title}, {figure.unit}\n({direction})", fontsize=9)
    ax.margins(y=0.15)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="y", labelsize=8)
