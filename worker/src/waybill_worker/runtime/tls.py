"""TLS to other systems: authorities, our certificate, and the errors of certificates.

TLS 1.2 is the minimum, and names are always checked. Neither can be switched off.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, model_validator

from waybill_database import DISTRUST_OF_LIBPQ

#: The other side ended the handshake: a transient error.
_ENDED: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class TlsFiles(BaseModel):
    """Certificate authorities and our own certificate, as files in PEM."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Trusted authorities, instead of the system's.
    ca_file: Path | None = None
    #: Our own certificate, with intermediate ones.
    cert_file: Path | None = None
    #: Its key, without a passphrase; None: it is in `cert_file`.
    key_file: Path | None = None

    @model_validator(mode="after")
    def _a_key_has_a_certificate(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("a key needs its certificate: give cert_file too")
        return self

    def context(self) -> ssl.SSLContext:
        """The context of a client's connections.

        Raises:
            ValueError: a file cannot be read, or has the wrong content; the message names it.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise ValueError(f"no certificates can be read from {self.ca_file}: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert_file is not None:
            try:
                # Never asks for a passphrase on a terminal.
                context.load_cert_chain(self.cert_file, self.key_file, password=_no_passphrase)
            except OSError as error:
                files = f"{self.cert_file} and {self.key_file or 'the same file'}"
                raise ValueError(f"no certificate with its key can be read from {files}: {error}") from error
        return context


def distrust(error: BaseException) -> str | None:
    """The reason of a connection that failed for a certificate; None: it failed for another reason.

    A peer that is away comes back. A wrong certificate must be corrected by people.
    """
    for each in _chain(error):
        text = str(each)
        if isinstance(each, ssl.SSLError) and not isinstance(each, _ENDED):
            # Also an alert of the other side about our certificate, and a peer without TLS.
            return text
        if any(words in text for words in DISTRUST_OF_LIBPQ):
            return text.splitlines()[0]
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    # A client that raises one stored error repeatedly makes a circle of causes.
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase: give one without")
