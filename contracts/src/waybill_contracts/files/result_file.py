"""Files that an attempt wrote, as the result of its subtask names them."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from waybill_contracts.files.file_ref import ContentType

#: A name that is the same in a file system, in a URL and in a header.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$")]
#: Files of one attempt: with them a report stays far below what RabbitMQ takes.
MAX_RESULT_FILES: Final = 100
#: Where they are in the result of a subtask: by name.
RESULT_FILES: Final = "files"


class ResultFile(BaseModel):
    """A file that an attempt wrote: its key in the object store, and what it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=0)]
    content_type: ContentType


_FILES: Final = TypeAdapter(dict[FileName, ResultFile])


def files_in(result: Mapping[str, Any] | None, prefix: str) -> dict[str, ResultFile]:
    """The files that a result names, by name.

    Args:
        result: of a subtask. It may repeat what other systems have sent.
        prefix: of the keys of the task's files; a result that names any other file names none.
    """
    try:
        files = _FILES.validate_python((result or {}).get(RESULT_FILES, {}))
    except ValidationError:
        # The handler has something else there.
        return {}
    return files if all(file.key.startswith(f"{prefix}/") for file in files.values()) else {}
