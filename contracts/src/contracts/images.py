"""What gateway and images service agree on about images."""

from typing import Final, Literal

PresetName = Literal["thumb", "medium", "large"]
PRESET_NAMES: Final[tuple[PresetName, ...]] = ("thumb", "medium", "large")
