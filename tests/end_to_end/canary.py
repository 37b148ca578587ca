"""A word in all sensitive fields, which must not appear elsewhere."""

import base64
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

#: They are the outside world, which is to have it.
OUTSIDE = ("mailbox", "crm")


@dataclass(frozen=True, slots=True)
class Canary:
    """The word, and what is made of it; `seen` gathers the places where it was found."""

    word: str = field(default_factory=lambda: f"canary{secrets.token_hex(6)}")
    seen: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """A person's mail address."""
        return f"{self.word}@example.com"

    @property
    def text(self) -> str:
        """What somebody writes."""
        return f"Dear reader,\nthe word is {self.word}, keep it to yourself.\n"

    def search(self, where: str, content: bytes) -> None:
        """Searches for it, as it is or in base64."""
        if any(form in content for form in self._forms()):
            at = min(content.find(form) for form in self._forms() if form in content)
            self.seen.append(f"{where}: {content[max(0, at - 80) : at + 80]!r}")

    def look_into_files(self, folder: Path) -> int:
        """Searches every file below a folder except the logs of mailbox and crm; returns how many."""
        looked_into = 0
        for path in folder.rglob("*"):
            if path.is_file() and path.stem not in OUTSIDE:
                # A server that runs deletes some meanwhile, as PostgreSQL its `pg_internal.init`.
                with suppress(FileNotFoundError):
                    self.search(str(path), path.read_bytes())
                    looked_into += 1
        return looked_into

    def _forms(self) -> Iterator[bytes]:
        word = self.word.encode()
        yield word
        # However it lies in what is encoded, these letters of it are the same.
        for shift in range(3):
            encoded = base64.b64encode(b"x" * shift + word)
            yield encoded[(shift * 4 + 2) // 3 : len(encoded) // 4 * 4 - 4]
