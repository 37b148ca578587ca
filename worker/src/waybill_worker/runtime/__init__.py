"""How a process lives: settings, start, background work, health, stop."""

from waybill_worker.prefork import EXIT_BROKEN
from waybill_worker.runtime.components import Component, Components, Together
from waybill_worker.runtime.condition import Condition, Readiness
from waybill_worker.runtime.database import Database, DatabaseWait
from waybill_worker.runtime.health import HealthServer
from waybill_worker.runtime.http_server import HttpServer, inherited_socket
from waybill_worker.runtime.periodic_task import PeriodicTask, PeriodicTasks, first_completed
from waybill_worker.runtime.process import WRONG_SETTING, configuring, live, run
from waybill_worker.runtime.refresh import Refresh
from waybill_worker.runtime.settings import (
    MOST_PROCESSES,
    DatabaseUrl,
    HttpAddress,
    ProcessSettings,
    SealingSettings,
    Seconds,
)
from waybill_worker.runtime.startup import build, in_processes, made, read_arguments, start
from waybill_worker.runtime.throttle import pause_since, scan_in_batches, throttled
from waybill_worker.runtime.timekeeper import Timekeeper
from waybill_worker.runtime.tls import TlsFiles, distrust

__all__ = [
    "EXIT_BROKEN",
    "MOST_PROCESSES",
    "WRONG_SETTING",
    "Component",
    "Components",
    "Condition",
    "Database",
    "DatabaseUrl",
    "DatabaseWait",
    "HealthServer",
    "HttpAddress",
    "HttpServer",
    "PeriodicTask",
    "PeriodicTasks",
    "ProcessSettings",
    "Readiness",
    "Refresh",
    "SealingSettings",
    "Seconds",
    "Timekeeper",
    "TlsFiles",
    "Together",
    "build",
    "configuring",
    "distrust",
    "first_completed",
    "in_processes",
    "inherited_socket",
    "live",
    "made",
    "pause_since",
    "read_arguments",
    "run",
    "scan_in_batches",
    "start",
    "throttled",
]
