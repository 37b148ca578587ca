"""The variants that callers may ask for."""

from typing import Final, Literal

#: Names of the variants that a caller may request; `waybill_images.presets` defines them.
PresetName = Literal["thumb", "medium", "large"]
PRESET_NAMES: Final[tuple[PresetName, ...]] = ("thumb", "medium", "large")
