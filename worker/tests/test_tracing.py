import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from waybill_worker.observe.spans import SpanKind
from waybill_worker.observe.tracing import (
    TracingError,
    configure_tracing,
    current_traceparent,
    is_tracing,
    span,
)

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
# Each in a process of its own: what is imported is imported for a whole process.
LOOK = "; import sys; print('sdk' if 'opentelemetry.sdk.trace' in sys.modules else 'none')"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "mine"},
        ENDPOINT | {"OTEL_SDK_DISABLED": "true"},
        ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nobody_records_unless_that_is_asked_for(environment: dict[str, str]) -> None:
    configure_tracing("test", environment)

    assert not is_tracing()
    with span("nothing", SpanKind.INTERNAL) as running:
        running.set("a", 1)
        running.failed("Error")
        assert running.traceparent is None
    assert current_traceparent() is None


@pytest.mark.parametrize(
    ("environment", "fault"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "there is `otlp`"),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "there is `http/protobuf`"),
    ],
)
def test_what_there_is_not_is_refused_in_words(environment: dict[str, str], fault: str) -> None:
    with pytest.raises(TracingError, match=fault):
        configure_tracing("test", environment)


def test_a_process_that_is_not_traced_does_not_even_import_opentelemetry() -> None:
    modules = (
        "waybill_gateway.process, waybill_email.app, waybill_images.app, waybill_sync.app, waybill_status.app"
    )
    program = f"import {modules}; from waybill_worker.observe.tracing import *; configure_tracing('x', {{}})"
    ran = subprocess.run(
        [sys.executable, "-c", program + LOOK], capture_output=True, text=True, check=True, timeout=60
    )

    assert ran.stdout.strip() == "none"


def test_a_process_that_is_to_be_traced_without_opentelemetry_says_what_to_install() -> None:
    hidden = "import sys; sys.modules['opentelemetry'] = None; from waybill_worker.observe.tracing import *; "
    ran = subprocess.run(
        [sys.executable, "-c", f"{hidden}configure_tracing('x', {ENDPOINT!r})"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 1
    assert "install waybill-worker[traces]" in ran.stderr


@pytest.fixture
def silent_collector() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_collector_that_says_nothing_holds_up_no_stop(silent_collector: str) -> None:
    # In a process of its own: what still waits for the collector then ends with it.
    program = (
        "import time; from waybill_worker.observe.tracing import *; configure_tracing('x')\n"
        "with span('a', SpanKind.INTERNAL): pass\n"
        "began = time.monotonic(); shut_down_tracing(); print(time.monotonic() - began)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": silent_collector},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert float(ran.stdout) < 6
