"""Files of tasks: uploads, downloads, and the removal of what no task refers to."""

from waybill_gateway.files import result_routes, routes
from waybill_gateway.files.collector import Collector
from waybill_gateway.files.download import Download
from waybill_gateway.files.storing import store_file

__all__ = [
    "Collector",
    "Download",
    "result_routes",
    "routes",
    "store_file",
]
