"""References to uploaded files."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from waybill_contracts.events import FILE

#: The key of an upload: the tenant that owns it, and the hash of its content.
FileKey = Annotated[
    str, StringConstraints(pattern=r"^files/[a-z0-9][a-z0-9-]{0,62}/[0-9a-f]{2}/[0-9a-f]{64}$")
]
#: A media type (RFC 9110, 8.3.1) with its parameters.
ContentType = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}"
        r"( ?; ?[!-:<-~]{1,60}){0,3}$"
    ),
]
#: The name of a file for people: one line, no path.
ShownName = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f/\\]{1,200}$")]


class FileRef(BaseModel):
    """A file of the task, as `POST /v1/files` answers it; only `key` is needed.

    The other fields are what the caller says of the file, and for people and handlers to read; nothing relies
    on them. Example: `{"key": "files/default/9f/9f86…", "content_type": "application/pdf"}`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, json_schema_extra=FILE, title="FileRef"
    )

    key: FileKey
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    size_bytes: Annotated[int, Field(ge=0)] | None = None
    content_type: ContentType | None = None
    name: ShownName | None = None
    #: When it is deleted unless a task uses it by then.
    expires_at: AwareDatetime | None = None


def file_ref(key: str, size_bytes: int, content_type: str, name: str | None, expires_at: datetime) -> FileRef:
    """The reference to an upload that is stored."""
    return FileRef(
        key=key,
        sha256=key.rpartition("/")[2],
        size_bytes=size_bytes,
        content_type=content_type,
        name=name,
        expires_at=expires_at,
    )
