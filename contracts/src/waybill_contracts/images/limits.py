"""The largest original that is accepted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Limits of an original. An operator can set each field."""

    #: 100 megapixels: twice the usual maximum of a telephone; 400 MB if a decoder must hold all of it.
    max_pixels: int = 100_000_000
    #: A panorama fits; a strip of 1 x 1,000,000 pixels, cheap to send and expensive to resize, does not.
    max_edge: int = 30_000
    #: A 50-megapixel JPEG is about 25 MB, a 12-megapixel PNG photograph about 30 MB.
    max_bytes: int = 50 * 1024 * 1024
    #: Of all frames of an animation, such as 200 of 500 x 500; a larger one is reduced to its first frame.
    max_animation_pixels: int = 50_000_000
    #: Of an animation: each frame costs a call of the encoder, however small it is.
    max_frames: int = 1000

    def allows_animation(self, width: int, height: int, frames: int) -> bool:
        """Whether an animation of this size is kept; if not, its first frame is used.

        Args:
            width: of a frame, in pixels.
            height: of a frame, in pixels.
            frames: number of frames.
        """
        return frames <= self.max_frames and width * height * frames <= self.max_animation_pixels

    def size_error(self, width: int, height: int) -> str | None:
        """Returns why an image of this size is refused; checked before it is decoded.

        Args:
            width: in pixels, from the header.
            height: in pixels, from the header.

        Returns:
            Two sentences for the caller, or None if the size is accepted.
        """
        if max(width, height) > self.max_edge:
            return (
                f"The image is {width} x {height} pixels; an edge may have at most {self.max_edge}. "
                "Send a smaller image."
            )
        if width * height > self.max_pixels:
            return (
                f"The image is {width} x {height} pixels, {width * height / 1e6:.0f} megapixels; "
                f"at most {self.max_pixels / 1e6:g} are accepted. Send a smaller image."
            )
        return None
