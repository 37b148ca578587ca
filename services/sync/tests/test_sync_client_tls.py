"""The client against a real HTTPS server that wants to know who it is."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from waybill_sync.client import SyncClient
from waybill_testkit.certificates import Certificates
from waybill_testkit.listening import listening
from waybill_worker.errors import UnansweredError, UnreachableError
from waybill_worker.runtime.tls import TlsFiles

ANSWER = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


@pytest.fixture
async def target(certificates: Certificates) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        writer.close()

    async with listening(serve, certificates.context(certificates.server, asks_clients=True)) as port:
        yield f"https://127.0.0.1:{port}/api"


async def status(target: str, files: TlsFiles | None) -> int:
    client = SyncClient({"crm": target}, tls={} if files is None else {"crm": files})
    return (await client.put("crm", "users", "7", {}, "key")).status


async def test_a_target_of_a_private_authority_is_told_who_we_are(
    target: str, certificates: Certificates
) -> None:
    assert await status(target, TlsFiles(ca_file=certificates.ca, cert_file=certificates.client)) == 204


async def test_a_target_that_nobody_we_trust_vouches_for_gets_nothing(
    target: str, certificates: Certificates
) -> None:
    strange = TlsFiles(ca_file=certificates.strangers_ca, cert_file=certificates.client)
    for files in (strange, None):
        with pytest.raises(UnreachableError, match="certificate verify failed"):
            await status(target, files)


@pytest.mark.parametrize(
    ("targets", "named", "fault"),
    [
        ({"crm": "https://a.test"}, "erp", "is not a target"),
        ({"crm": "http://a.test"}, "crm", "is not https"),
    ],
)
def test_certificates_that_fit_no_target_are_refused(
    certificates: Certificates, targets: dict[str, str], named: str, fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        SyncClient(targets, tls={named: TlsFiles(ca_file=certificates.ca)})


async def test_targets_at_one_place_have_each_their_own_certificates(
    target: str, certificates: Certificates
) -> None:
    known = TlsFiles(ca_file=certificates.ca, cert_file=certificates.client)
    unknown = TlsFiles(ca_file=certificates.ca)
    client = SyncClient({"crm": target, "erp": f"{target}/v2"}, tls={"crm": known, "erp": unknown})

    for _ in range(2):
        assert (await client.put("crm", "users", "7", {}, "key")).status == 204
        # TLS 1.3 refuses a client when it has sent its request already.
        with pytest.raises((UnreachableError, UnansweredError), match="target 'erp'"):
            await client.put("erp", "users", "7", {}, "key")
