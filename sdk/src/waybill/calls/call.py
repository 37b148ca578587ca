"""One call of the gateway without I/O: what is sent, and how the answer is read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from waybill.problems import UnexpectedAnswerError

T = TypeVar("T")
#: Of a file, read at once.
CHUNK_BYTES: Final = 256 * 1024
#: Seconds that transferring a file may take, and that storing it may.
FILE_SECONDS: Final = 600.0
STORE_SECONDS: Final = 60.0
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    #: Names in small letters.
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class FileBody:
    """A file as the body of a call, sent from its start in each attempt."""

    file: BinaryIO
    start: int
    size: int
    name: str
    content_type: str

    def rewound(self) -> BinaryIO:
        """The file at its start."""
        self.file.seek(self.start)
        return self.file

    def chunks(self) -> Iterator[bytes]:
        """Its content."""
        file = self.rewound()
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A call: equal for each attempt."""

    method: str
    #: Below the gateway's URL, each part quoted.
    path: str
    #: Reads an answer of success.
    read: Callable[[Answer], T]
    params: Mapping[str, str | list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | FileBody | None = None
    #: Fields of a form that `content` is the field `file` of; None: it is the whole body.
    form: Mapping[str, str | list[str]] | None = None
    #: Whether a call that is carried out twice has the effect of one.
    is_repeatable: bool = True
    #: Seconds for all attempts, instead of the client's; also of a call that lasts.
    deadline: float | None = None
    #: Seconds that an attempt may take beyond what other calls may, and for which nothing may arrive in it.
    lasts: float = 0.0
    silent: float = 0.0
    #: Seconds after which no attempt lasts, whatever the deadline is; None: no such limit.
    within: float | None = None

    @property
    def is_of_file(self) -> bool:
        """Whether its content is read from a file."""
        return isinstance(self.content, FileBody)


def json_body(document: Any) -> bytes:
    """A document as the body of a call.

    Raises:
        ValueError: it cannot be written as JSON.
    """
    return to_json(document)


def present(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameters of a query as text, without those that are None."""
    return {name: _text(value) for name, value in params.items() if value is not None}


def model(of: type[ModelT]) -> Callable[[Answer], ModelT]:
    """Reads the body of an answer as a model."""

    def read(answer: Answer) -> ModelT:
        try:
            return of.model_validate_json(answer.content)
        except ValidationError as error:
            faults = ", ".join(".".join(map(str, each["loc"])) or each["type"] for each in error.errors()[:5])
            raise UnexpectedAnswerError(
                answer.status, f"this is no {of.__name__} as this release knows it: {faults}"
            ) from error

    return read


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
