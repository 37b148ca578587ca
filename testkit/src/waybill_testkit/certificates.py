"""Certificates for a test run, of an authority of its own."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from waybill_testkit.machine import LOOPBACK


@dataclass(frozen=True, slots=True)
class Certificates:
    """A folder of PEM files: an authority, its certificates, and an untrusted authority."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Self:
        """Makes them, readable by all users of the machine: servers may run as other users."""
        # Only here: it comes with the extra `pytest`, and most test runs need no certificates.
        import trustme  # noqa: PLC0415 - as said

        made = cls(folder)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(made.ca)
        trustme.CA().cert_pem.write_to_path(made.strangers_ca)
        for name, path in (
            ("localhost", made.server),
            ("waybill", made.client),
            ("elsewhere", made.misnamed),
        ):
            names = ("localhost", LOOPBACK) if name == "localhost" else (f"{name}.test",)
            authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(path)
        return made

    @property
    def ca(self) -> Path:
        """The authority."""
        return self.folder / "ca.pem"

    @property
    def strangers_ca(self) -> Path:
        """Another authority, without certificates."""
        return self.folder / "strangers-ca.pem"

    @property
    def server(self) -> Path:
        """Key and certificate of a server on loopback."""
        return self.folder / "server.pem"

    @property
    def client(self) -> Path:
        """Key and certificate of a client."""
        return self.folder / "client.pem"

    @property
    def misnamed(self) -> Path:
        """Key and certificate of a server that is elsewhere."""
        return self.folder / "misnamed.pem"

    def context(self, certificate: Path, *, asks_clients: bool = False) -> ssl.SSLContext:
        """TLS context of a server.

        Args:
            certificate: the server's own.
            asks_clients: whether clients need a certificate of the authority.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.load_cert_chain(certificate)
        context.verify_mode = ssl.CERT_REQUIRED if asks_clients else ssl.CERT_NONE
        return context
