"""The variants that callers may ask for, and where originals and variants are in the object store."""

from typing import Final, Literal

#: Names of the variants that a caller may ask for; what they mean is `waybill_images.presets`.
PresetName = Literal["thumb", "medium", "large"]
PRESET_NAMES: Final[tuple[PresetName, ...]] = ("thumb", "medium", "large")

#: First part of each original's key in the object store.
ORIGINALS: Final = "originals"


def variants_of(sha256: str) -> str:
    """Where all variants of the original with this hash lie in the object store, and no other's."""
    return f"variants/{sha256}"
