"""TLS to other systems: whom we trust, who we are, and how to tell a stranger from somebody who is away.

TLS 1.2 is the least; names are always checked. Neither can be switched off.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, model_validator

from waybill_database.faults import DISTRUST_OF_LIBPQ

#: The other side went away amid the handshake: that may pass.
_ENDED: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class TlsFiles(BaseModel):
    """Whom we trust, and who we are, as files in PEM."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: The authorities that we trust, instead of the system's.
    ca_file: Path | None = None
    #: Our own certificate, with those between it and its authority.
    cert_file: Path | None = None
    #: Its key, without a passphrase; None: it is in `cert_file` too.
    key_file: Path | None = None

    @model_validator(mode="after")
    def _a_key_has_a_certificate(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("a key needs its certificate: give cert_file too")
        return self

    def context(self) -> ssl.SSLContext:
        """What a client's connections are made with.

        Raises:
            ValueError: a file cannot be read, or does not hold what it should; the message names it.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise ValueError(f"no certificates can be read from {self.ca_file}: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert_file is not None:
            try:
                # Never asks for a passphrase: nobody is there to answer.
                context.load_cert_chain(self.cert_file, self.key_file, password=_no_passphrase)
            except OSError as error:
                files = f"{self.cert_file} and {self.key_file or 'the same file'}"
                raise ValueError(f"no certificate with its key can be read from {files}: {error}") from error
        return context


def distrust(error: BaseException) -> str | None:
    """Why a connection failed that was refused for its certificate; None: for any other reason.

    Time mends what is away. A certificate that is wrong is mended by people, who must be told.
    """
    for each in _chain(error):
        text = str(each)
        if isinstance(each, ssl.SSLError) and not isinstance(each, _ENDED):
            # Also what the other side says of our certificate, in an alert, and that it speaks no TLS at all.
            return text
        if any(words in text for words in DISTRUST_OF_LIBPQ):
            return text.splitlines()[0]
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    # A client that raises one stored error again and again makes a circle of its causes.
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase: give one without")
