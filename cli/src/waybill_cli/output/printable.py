"""Sanitizing of text from outside for a terminal."""

import unicodedata

#: Unicode categories that move the cursor, colour or reorder text: control, format, line separators.
_HARMFUL = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})


def make_printable(text: str, *, lines: bool = False) -> str:
    """Replaces each character that would control the terminal by a space.

    Args:
        text: may come from a message or a task, so from outside.
        lines: keep newlines and tabs.
    """
    kept = "\n\t" if lines else ""
    return "".join(
        c if c in kept or (c.isprintable() or unicodedata.category(c) not in _HARMFUL) else " " for c in text
    )
