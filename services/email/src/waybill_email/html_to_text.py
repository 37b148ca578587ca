"""Converts HTML to text, for mail programs without HTML, and for filters that distrust mails without text."""

import re
import sys
from typing import Any, Final

import html_text

#: Not allowed in a mail, nor in a tree of lxml; but its parser creates them from character references.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_REFERENCE: Final = re.compile(r"&#(?:[xX]0*([0-9A-Fa-f]{1,6})|0*([0-9]{1,7}));?")
_REPLACEMENT: Final = "\ufffd"
#: Of no use in a text: the title repeats the subject, and hidden elements preview the text.
_UNSEEN: Final = (
    "//title | //*[contains(translate(@style, 'DISPLAYNOE \t\r\n', 'displaynoe'), 'display:none')]"
)
#: Links that are useful in a text.
_LINK: Final = re.compile(r"(?:https?://|mailto:)\S+")


def text_of(html: str) -> str:
    """Return HTML as plain text: links with their addresses, pictures as their descriptions.

    Time and length of the result are linear in the length of the HTML.

    Returns:
        The text; empty if there is none.
    """
    tree = html_text.parse_html(_printable(html))
    for unseen in tree.xpath(_UNSEEN):
        if unseen.getparent() is not None:
            unseen.drop_tree()
    for image in tree.iter("img"):
        image.tail = f" {image.get('alt', '')} {image.tail or ''}"
    for link in tree.iter("a"):
        _show_address(link)
    text: str = html_text.extract_text(tree)
    return text


def _printable(html: str) -> str:
    """The HTML with U+FFFD for control characters; removing them would join the text around them."""
    return _REFERENCE.sub(_resolved, _CONTROL.sub(_REPLACEMENT, html))


def _resolved(reference: re.Match[str]) -> str:
    hexadecimal, decimal = reference.groups()
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    is_printable = code <= sys.maxunicode and not _CONTROL.match(chr(code))
    return reference.group() if is_printable else _REPLACEMENT


def _show_address(link: Any) -> None:
    address, words = link.get("href", "").strip(), link.text_content().strip()
    if not _LINK.fullmatch(address) or words in {address, address.removeprefix("mailto:")}:
        return
    shown = f" ({address})"
    if len(link):
        link[-1].tail = f"{link[-1].tail or ''}{shown}"
    else:
        link.text = f"{link.text or ''}{shown}"
