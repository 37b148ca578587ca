"""Checks whether the contracts of this release can read the payloads that wait."""

from waybill_cli.checking.fit import UNCHECKED, UNFIXABLE, Fit, check_payload, unreadable
from waybill_cli.checking.tally import Tally
from waybill_cli.checking.waiting import Waiting, read_waiting, read_waiting_file

__all__ = [
    "UNCHECKED",
    "UNFIXABLE",
    "Fit",
    "Tally",
    "Waiting",
    "check_payload",
    "read_waiting",
    "read_waiting_file",
    "unreadable",
]
