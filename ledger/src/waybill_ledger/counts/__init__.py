"""What happened when: counts by minute and hour, kind and service, made by the transactions that do it."""

from waybill_ledger.counts.counting import Row, Tally, count_accepted, place_of
from waybill_ledger.counts.folding import KEEP_HOURS, KEEP_MINUTES, FoldedStep, FoldStep, fold_counts
from waybill_ledger.counts.reading import (
    Counted,
    CountsQuery,
    CountsRead,
    handler_numbers,
    percentiles,
    pickup_numbers,
    read_counts,
)

__all__ = [
    "KEEP_HOURS",
    "KEEP_MINUTES",
    "Counted",
    "CountsQuery",
    "CountsRead",
    "FoldStep",
    "FoldedStep",
    "Row",
    "Tally",
    "count_accepted",
    "fold_counts",
    "handler_numbers",
    "percentiles",
    "pickup_numbers",
    "place_of",
    "read_counts",
]
