"""The result of examining an upload: facts, or the reason for its refusal."""

from dataclasses import dataclass
from typing import Literal

RefusalCode = Literal["empty", "not_an_image", "unsupported_format", "too_large", "too_costly", "damaged"]


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The header of an image that was decoded without errors."""

    format: str
    content_type: str
    #: As stored, in pixels; an EXIF orientation may swap both.
    width: int
    height: int


class RefusedImage(ValueError):  # noqa: N818 - the term of the API
    """The file cannot be accepted.

    Args:
        code: for programs.
        detail: for people, what is wrong and what to do.
    """

    def __init__(self, code: RefusalCode, detail: str) -> None:
        super().__init__(detail)
        self.code: RefusalCode = code
        self.detail = detail

    def __reduce__(self) -> tuple[type["RefusedImage"], tuple[RefusalCode, str]]:
        # It comes from another process; pickle would call the class with only the detail.
        return type(self), (self.code, self.detail)
