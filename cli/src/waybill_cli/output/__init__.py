"""Output of the command: tables, views, progress."""

from waybill_cli.output.letter_views import (
    GROUP_COLUMNS,
    LETTER_COLUMNS,
    group_row,
    letter_row,
    payload_in,
    show_edited,
    show_group,
    show_letter,
)
from waybill_cli.output.output import Output
from waybill_cli.output.printable import make_printable
from waybill_cli.output.redrive_views import (
    ITEM_COLUMNS,
    REDRIVE_COLUMNS,
    SHOWN_HASH,
    item_row,
    progress_line,
    redrive_row,
    show_plan,
    show_redrive,
)
from waybill_cli.output.stats_views import show_stats
from waybill_cli.output.task_views import TASK_COLUMNS, event_line, show_whole_task, task_row
from waybill_cli.output.times import Moment, age, due, span, when

__all__ = [
    "GROUP_COLUMNS",
    "ITEM_COLUMNS",
    "LETTER_COLUMNS",
    "REDRIVE_COLUMNS",
    "SHOWN_HASH",
    "TASK_COLUMNS",
    "Moment",
    "Output",
    "age",
    "due",
    "event_line",
    "group_row",
    "item_row",
    "letter_row",
    "make_printable",
    "payload_in",
    "progress_line",
    "redrive_row",
    "show_edited",
    "show_group",
    "show_letter",
    "show_plan",
    "show_redrive",
    "show_stats",
    "show_whole_task",
    "span",
    "task_row",
    "when",
]
