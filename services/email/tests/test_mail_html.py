import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from waybill_email.html_to_text import text_of

MAIL = """<!doctype html>
<html><head><title>Your order</title><style>p { color: red }</style></head>
<body><div style="DISPLAY: none; max-height: 0">A preview</div>
<img src="https://x.test/logo.png" alt="Example Ltd"><h1>Thank you &amp; welcome</h1>
<p>Hello <b>Ada</b>,<br>your order <a href="https://x.test/orders/17?a=1&amp;b=2">17</a> is on its way.</p>
<ul><li>One chair</li><li>Two tables</li></ul>
<p>Questions? <a href="mailto:help@x.test">help@x.test</a> or <a href="https://x.test/"><b>our</b> pages</a>,
<a href="javascript:alert(1)">not</a> <a href="#top">up</a>.</p>
<script>alert(1)</script></body></html>"""


def test_the_text_says_what_the_html_shows() -> None:
    assert text_of(MAIL) == (
        "Example Ltd\n\nThank you & welcome\n\n"
        "Hello Ada,\nyour order 17 (https://x.test/orders/17?a=1&b=2) is on its way.\n\n"
        "One chair\nTwo tables\n\n"
        "Questions? help@x.test or our pages (https://x.test/), not up."
    )


@pytest.mark.parametrize(
    "html", [" ", "<!-- nothing -->", "<img src=x>", "<p hidden></p>", "<script>x</script>"]
)
def test_html_without_words_has_no_text(html: str) -> None:
    assert text_of(html) == ""


def test_no_control_character_comes_out_of_a_reference() -> None:
    assert text_of("<p>a&#27;[31m&#0;&#X7F;&#x000001b &#&#27;27;b\x1b</p>") == (
        "a\ufffd[31m\ufffd\ufffd\ufffd &#\ufffd27;b\ufffd"
    )


tags = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<a href='https://x.test'>",
        "</a>",
        "<img alt='x'>",
        "<table><tr><td>",
        "<!--",
        "<div style='display:none'>",
        "<html style='display:none'>",
        "<?xml version='1.0' encoding='latin-1'?>",
        "<",
        "&#27;",
        "&",
        "\x00",
        "ä",
    ]
)


@given(st.lists(st.one_of(tags, st.text(st.characters(exclude_categories=["Cs"]), max_size=9))).map("".join))
@example("<html style='display:none'>x")
def test_whatever_comes_as_html_gives_text_that_a_mail_may_hold(html: str) -> None:
    assert not set(text_of(html)) & set(map(chr, [*range(9), 11, 12, *range(14, 32), 127]))


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<!--",
        "<div>",
        "<p>x",
        "<a href=https://x.test/>x",
        "<p><a href=https://x.test/>x</a>",
        "<img alt=x>",
        "<ul style='padding-left:90000em'><li>x",
        "<table><tr><td>x",
        "&amp;",
        "<b><i>x</b>",
        "</p>",
    ],
)
def test_no_html_takes_long_or_grows(piece: str) -> None:
    html = (piece * 256 * 1024)[: 256 * 1024]
    began = time.process_time()

    text = text_of(html)

    assert len(text) <= 2 * len(html)
    # A second at the most where nothing else runs; what grows by the square takes minutes.
    assert time.process_time() - began < 20
