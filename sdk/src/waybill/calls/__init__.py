"""The calls of the gateway without I/O: what each sends, how its answer is read, when it is tried again."""

from waybill.calls import files, registry, schedules, tasks
from waybill.calls.call import CHUNK_BYTES, Answer, Call, FileBody
from waybill.calls.files import Source
from waybill.calls.following import OK, SILENT_SECONDS, Following
from waybill.calls.keys import checked_key, new_key
from waybill.calls.paging import MOST_ON_A_PAGE, Paging
from waybill.calls.retrying import Limits, Trying, require_success
from waybill.calls.schedules import ScheduleTiming
from waybill.calls.submission import Priority, Submission, SubmitOptions
from waybill.calls.tasks import MOST_TOGETHER, TaskFilters
from waybill.calls.trace import TRACEPARENT, trace_headers
from waybill.calls.waiting import Waiting

__all__ = [
    "CHUNK_BYTES",
    "MOST_ON_A_PAGE",
    "MOST_TOGETHER",
    "OK",
    "SILENT_SECONDS",
    "TRACEPARENT",
    "Answer",
    "Call",
    "FileBody",
    "Following",
    "Limits",
    "Paging",
    "Priority",
    "ScheduleTiming",
    "Source",
    "Submission",
    "SubmitOptions",
    "TaskFilters",
    "Trying",
    "Waiting",
    "checked_key",
    "files",
    "new_key",
    "registry",
    "require_success",
    "schedules",
    "tasks",
    "trace_headers",
]
