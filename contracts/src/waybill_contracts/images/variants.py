"""The variants that callers may ask for, and where originals and variants are in the object store."""

from typing import Final, Literal

#: Names of the variants that a caller may request; `waybill_images.presets` defines them.
PresetName = Literal["thumb", "medium", "large"]
PRESET_NAMES: Final[tuple[PresetName, ...]] = ("thumb", "medium", "large")

#: First part of the key of each original in the object store.
ORIGINALS: Final = "originals"


def variants_of(sha256: str) -> str:
    """Prefix of the keys of all variants of the original with this hash, and of no others."""
    return f"variants/{sha256}"
