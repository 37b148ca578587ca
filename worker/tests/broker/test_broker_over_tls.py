"""A whole service that speaks TLS with a real broker, which wants to know who it is."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from waybill_contracts.kinds.images import ImageUploaded
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_testkit.broker import Broker
from waybill_testkit.certificates import Certificates
from waybill_testkit.samples import image_event
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.prefork import EXIT_MISCONFIGURED
from waybill_worker.service import Service


@pytest.fixture
def amqps_url(broker: Broker, topology_url: str, amqps_port: int | None) -> str:
    if amqps_port is None:
        pytest.skip(f"its TLS listener is not ours: {broker.how}")
    plain = urlsplit(topology_url)
    return plain._replace(
        scheme="amqps", netloc=f"{plain.username}:{plain.password}@127.0.0.1:{amqps_port}"
    ).geturl()


async def done(_event: ImageUploaded, attempt: Attempt) -> dict[str, Any]:
    return {"attempt": attempt.attempt}


async def test_work_is_done_over_tls(
    amqps_url: str, certificates: Certificates, wire: Wire, tmp_path: Path
) -> None:
    settings = ServiceSettings(
        amqp_url=amqps_url,
        amqp_ca_file=certificates.ca,
        amqp_cert_file=certificates.client,
        inbox_url=f"sqlite:///{tmp_path}/inbox.db",
    )
    service = Service("images", settings, (configured(settings, ImageUploaded, done),))
    await service.start()
    try:
        await wire.request(image_event())
        told = await wire.reported(until=LifecycleType.COMPLETED)
    finally:
        await service.stop()

    assert [each.type for each in told] == [LifecycleType.STARTED, LifecycleType.COMPLETED]


@pytest.mark.parametrize("fault", ["an authority that did not vouch for it", "no certificate of ours"])
def test_a_process_that_trusts_not_or_is_not_trusted_says_so_and_ends(
    amqps_url: str, certificates: Certificates, tmp_path: Path, fault: str
) -> None:
    ours = fault == "no certificate of ours"
    environment = {
        "WAYBILL_AMQP_URL": amqps_url,
        "WAYBILL_AMQP_CA_FILE": str(certificates.ca if ours else certificates.strangers_ca),
        "WAYBILL_INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
        "WAYBILL_SENDER": "no-reply@example.com",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "waybill_email"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == EXIT_MISCONFIGURED, ended.stdout + ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    [told] = [line for line in lines if line["level"] == "critical"]
    assert "certificate" in told["reason"].lower()
    assert "guest:guest" not in ended.stdout
