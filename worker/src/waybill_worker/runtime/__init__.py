"""How a process lives: settings, start, background work, health, stop."""

from waybill_worker.runtime.background import Background, BackgroundWork, first_completed
from waybill_worker.runtime.components import Component, Components, Together
from waybill_worker.runtime.database import Database, DatabaseWait
from waybill_worker.runtime.health import HealthServer, liveness_answer, startup_answer
from waybill_worker.runtime.http_server import HttpServer, inherited_socket
from waybill_worker.runtime.process import EXIT_BROKEN, WRONG_SETTING, configuring, live, run
from waybill_worker.runtime.refresh import Refresh
from waybill_worker.runtime.settings import (
    DatabaseUrl,
    HttpAddress,
    ProcessSettings,
    SealingSettings,
    Seconds,
)
from waybill_worker.runtime.startup import build, start
from waybill_worker.runtime.throttle import pause_since, scan_in_batches, throttled
from waybill_worker.runtime.timekeeper import Timekeeper
from waybill_worker.runtime.tls import TlsFiles, distrust

__all__ = [
    "EXIT_BROKEN",
    "WRONG_SETTING",
    "Background",
    "BackgroundWork",
    "Component",
    "Components",
    "Database",
    "DatabaseUrl",
    "DatabaseWait",
    "HealthServer",
    "HttpAddress",
    "HttpServer",
    "ProcessSettings",
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
    "inherited_socket",
    "live",
    "liveness_answer",
    "pause_since",
    "run",
    "scan_in_batches",
    "start",
    "startup_answer",
    "throttled",
]
