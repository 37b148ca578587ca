"""What is wrong with data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DataFault:
    """One violation of a contract by data, without values."""

    #: Names and indexes from the root of the data to the fault.
    path: tuple[str | int, ...]
    message: str

    @property
    def pointer(self) -> str:
        """The path as a JSON Pointer (RFC 6901)."""
        return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in self.path)
