import asyncio
import ssl
from pathlib import Path

import pytest
from aio_pika.exceptions import AMQPError
from pydantic import ValidationError

from waybill_testkit.certificates import Certificates
from waybill_testkit.listening import listening
from waybill_worker.broker.connection import BrokerConnection
from waybill_worker.broker.wait import BrokerWait
from waybill_worker.runtime.settings import ProcessSettings
from waybill_worker.runtime.tls import TlsFiles, distrust


def disconnect(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"AMQP\x00\x00\x09\x01")
    writer.close()


async def failure(files: TlsFiles, port: int) -> BaseException:
    with pytest.raises(Exception, match=r".") as raised:
        await asyncio.open_connection("127.0.0.1", port, ssl=files.context())
    return raised.value


async def test_who_is_vouched_for_is_trusted(certificates: Certificates) -> None:
    async with listening(disconnect, certificates.context(certificates.server)) as port:
        context = TlsFiles(ca_file=certificates.ca).context()
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.close()


async def test_a_stranger_one_of_another_name_and_one_without_tls_are_distrusted(
    certificates: Certificates,
) -> None:
    trusting = TlsFiles(ca_file=certificates.ca)
    async with listening(disconnect, certificates.context(certificates.server)) as port:
        error = await failure(TlsFiles(ca_file=certificates.strangers_ca), port)
        assert "certificate verify failed" in (distrust(error) or "")
        assert "certificate verify failed" in (distrust(await failure(TlsFiles(), port)) or "")
    async with listening(disconnect, certificates.context(certificates.misnamed)) as port:
        assert "IP address mismatch" in (distrust(await failure(trusting, port)) or "")
    async with listening(disconnect) as port:
        assert distrust(await failure(trusting, port)) is not None


async def test_who_is_away_is_not_distrusted() -> None:
    assert distrust(await failure(TlsFiles(), 1)) is None


def test_nothing_older_than_tls_1_2_is_spoken() -> None:
    assert TlsFiles().context().minimum_version is ssl.TLSVersion.TLSv1_2
    assert TlsFiles().context().check_hostname


def test_files_that_are_not_what_they_should_be_are_named(certificates: Certificates, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nothing of the kind")
    for files in (
        TlsFiles(ca_file=nonsense),
        TlsFiles(ca_file=tmp_path / "missing.pem"),
        TlsFiles(cert_file=nonsense),
        TlsFiles(cert_file=certificates.client, key_file=certificates.server),
    ):
        with pytest.raises(ValueError, match=r"can be read from .*\.pem"):
            files.context()
    with pytest.raises(ValidationError, match="a key needs its certificate"):
        TlsFiles(key_file=certificates.client)


def test_files_for_a_broker_without_tls_are_a_mistake(certificates: Certificates) -> None:
    with pytest.raises(ValidationError, match="begins with amqps"):
        ProcessSettings(amqp_url="amqp://broker/", amqp_ca_file=certificates.ca)


def test_no_url_can_switch_trust_off() -> None:
    with pytest.raises(ValidationError, match="no_verify_ssl"):
        ProcessSettings(amqp_url="amqps://broker/?no_verify_ssl=1")


async def test_a_broker_that_is_not_trusted_is_not_waited_for(certificates: Certificates) -> None:
    async with listening(disconnect, certificates.context(certificates.server)) as port:
        settings = ProcessSettings(
            amqp_url=f"amqps://127.0.0.1:{port}/", amqp_ca_file=certificates.strangers_ca
        )
        broker = BrokerConnection(settings, "a test", "publish")
        async with asyncio.timeout(20):
            with pytest.raises(AMQPError, match="CERTIFICATE_VERIFY_FAILED"):
                await BrokerWait().until(broker.connect)
        await broker.stop()


async def test_a_broker_that_is_away_is_waited_for() -> None:
    broker = BrokerConnection(ProcessSettings(amqp_url="amqps://127.0.0.1:1/"), "a test", "publish")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await BrokerWait().until(broker.connect)
    await broker.stop()


def test_errors_that_cause_each_other_are_looked_at_once() -> None:
    first, second = ConnectionError("away"), ConnectionError("still away")
    first.__cause__, second.__cause__ = second, first

    assert distrust(first) is None
