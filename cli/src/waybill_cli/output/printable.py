"""Text from outside, made harmless for a terminal."""

import unicodedata

#: Categories that move the cursor, colour, or reorder text: control, format, and line separators.
_HARMFUL = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})


def printable(text: str, *, lines: bool = False) -> str:
    """`text` with a space for each character that would steer the terminal.

    Args:
        text: may come from a message or a task, so from anyone.
        lines: keep newlines and tabs.
    """
    kept = "\n\t" if lines else ""
    return "".join(
        c if c in kept or (c.isprintable() or unicodedata.category(c) not in _HARMFUL) else " " for c in text
    )
