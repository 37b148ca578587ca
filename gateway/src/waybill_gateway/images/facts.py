"""What a look at an upload finds: what it is, or why it is refused."""

from dataclasses import dataclass
from typing import Literal

RefusalCode = Literal["empty", "not_an_image", "unsupported_format", "too_large", "too_costly", "damaged"]


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the header says of an image that was decoded without complaint."""

    format: str
    content_type: str
    #: As stored, in pixels: an EXIF orientation may swap them.
    width: int
    height: int


class RefusedImage(ValueError):  # noqa: N818 - the API's word for it
    """The file cannot be taken.

    Args:
        code: for programs.
        detail: for people: what is wrong and what to do.
    """

    def __init__(self, code: RefusalCode, detail: str) -> None:
        super().__init__(detail)
        self.code: RefusalCode = code
        self.detail = detail

    def __reduce__(self) -> tuple[type["RefusedImage"], tuple[RefusalCode, str]]:
        # It comes from another process, and pickle would call the class with the detail alone.
        return type(self), (self.code, self.detail)
