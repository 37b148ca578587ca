"""Templates of an installation's own: before ours, beside ours, and checked before the first mail."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from waybill_contracts.kinds.template_folder import TemplateFolderError
from waybill_email.renderer import Renderer
from waybill_worker.errors import PermanentError

PARAMS = '{"name": "line", "total": "number", "note": "text?", "items": [{"what": "line"}]}'
SUBJECT = "Invoice for {{ name }}"
TEXT = "{{ name }}: {{ total }}\n{% for item in items %}\n{% include '_item.txt' %}\n{% endfor %}\n"
ITEM = "- {{ item.what }}\n"
HTML = """{% extends "layout.html" %}
{% block heading %}{{ subject }}{% endblock %}
{% block content %}{% for item in items %}<p>{{ loop.index }} {{ item.what }}</p>{% endfor %}{% endblock %}
{% block footer %}{{ super() }} {{ note or "" }}{% endblock %}
"""
INVOICE = {
    "invoice.params.json": PARAMS,
    "invoice.subject.txt": SUBJECT,
    "invoice.txt": TEXT,
    "invoice.html": HTML,
    "_item.txt": ITEM,
}
GIVEN = {"name": "<Ada>", "total": 12, "items": [{"what": "A <b>chair</b>"}]}


def written(folder: Path, **files: str | None) -> Path:
    for name, text in files.items():
        if text is not None:
            (folder / name).write_text(text)
    return folder


def test_one_beside_ours_is_rendered_with_its_parameters(tmp_path: Path) -> None:
    mail = Renderer(written(tmp_path, **INVOICE)).render("invoice", GIVEN)

    assert mail.subject == "Invoice for <Ada>"
    assert mail.text == "<Ada>: 12\n- A <b>chair</b>\n"
    assert mail.html is not None
    assert "<p>1 A &lt;b&gt;chair&lt;/b&gt;</p>" in mail.html
    assert "Invoice for &lt;Ada&gt;</h1>" in mail.html
    assert "This mail was sent automatically. </p>" in mail.html


def test_wrong_parameters_are_named(tmp_path: Path) -> None:
    renderer = Renderer(written(tmp_path, **INVOICE))

    with pytest.raises(PermanentError, match=r"invoice got invalid parameters: total: .*; items.0.what: "):
        renderer.render("invoice", GIVEN | {"total": "much", "items": [{}]})


def test_a_file_of_theirs_stands_before_ours_and_the_rest_stays(tmp_path: Path) -> None:
    ours = Renderer().render("welcome", {"name": "Ada"})

    mail = Renderer(written(tmp_path, **{"welcome.subject.txt": "Hi {{ name }}"})).render(
        "welcome", {"name": "Ada"}
    )

    assert mail.subject == "Hi Ada"
    assert mail.text == ours.text


def test_a_layout_of_theirs_is_for_all_mails(tmp_path: Path) -> None:
    layout = "<h1>Example</h1>{% block content %}{% endblock %}"
    renderer = Renderer(written(tmp_path, **{"layout.html": layout}))

    for template, params in (
        ("welcome", {"name": "Ada"}),
        ("password_reset", {"link": "https://a.test/", "expires_at": datetime.now(UTC)}),
    ):
        html = renderer.render(template, params).html
        assert html is not None
        assert html.startswith("<h1>Example</h1>")


@pytest.mark.parametrize("missing", ["invoice.txt", "invoice.html"])
def test_one_body_is_enough(tmp_path: Path, missing: str) -> None:
    mail = Renderer(written(tmp_path, **INVOICE | {missing: None})).render("invoice", GIVEN)

    assert (mail.text is None, mail.html is None) == (missing == "invoice.txt", missing == "invoice.html")


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"welcome.html": "a\n{% if %}"}, "/welcome.html, line 2: Expected an expression"),
        (
            {"welcome.txt": "a\nb {{ nmae }}"},
            "/welcome.txt, line 2: there is no variable nmae: welcome.txt has name, subject",
        ),
        (
            {"welcome.subject.txt": "{{ subject }}"},
            "line 1: there is no variable subject: welcome.subject.txt has name",
        ),
        ({"welcome.txt": "{{ name | shout }}"}, "/welcome.txt, line 1: No filter named 'shout'"),
        ({"welcome.txt": "\n{% include '_x.txt' %}"}, "/welcome.txt, line 2: there is no _x.txt"),
        (
            {"welcome.txt": "{% include name %}"},
            "/welcome.txt, line 1: write the name of the other template as text",
        ),
        ({"layout.html": "\n\n{{ nmae }}"}, "/layout.html, line 3: there is no variable nmae"),
        (INVOICE | {"_item.txt": "{{ itme.what }}"}, "/_item.txt, line 1: there is no variable itme"),
        (INVOICE | {"invoice.subject.txt": None}, "invoice.subject.txt: is missing"),
        (INVOICE | {"invoice.txt": None, "invoice.html": None}, "invoice.txt or invoice.html: is missing"),
        (INVOICE | {"invoice.params.json": None}, "invoice.params.json is missing, which declares"),
        (INVOICE | {"invoice.params.json": "{"}, "/invoice.params.json, line 1: is not JSON"),
        ({"welcom.html": "x"}, "/welcom.html: welcom.params.json is missing, which declares"),
        ({"welcome.htm": "x"}, "/welcome.htm: belongs to no template"),
    ],
)
def test_what_is_wrong_is_named_with_its_file_and_line(
    tmp_path: Path, files: dict[str, str | None], complaint: str
) -> None:
    with pytest.raises(TemplateFolderError) as refused:
        Renderer(written(tmp_path, **files))

    assert complaint in str(refused.value)


def test_hidden_files_are_the_file_systems(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    Renderer(written(tmp_path, **{".DS_Store": "x"}))


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "welcome.txt").write_bytes(b"\xff")
    with pytest.raises(TemplateFolderError, match=r"welcome.txt: is not UTF-8"):
        Renderer(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "{{ name.__class__.__mro__ }}",
        "{{ total / 0 }}",
        "{{ total + name }}",
        "{{ items[7].what }}",
        "{% for n in range(10 ** 7) %}{% endfor %}",
        "{% include 'invoice.txt' %}",
    ],
)
def test_a_template_that_breaks_fails_for_good_and_reaches_nothing(tmp_path: Path, text: str) -> None:
    renderer = Renderer(written(tmp_path, **INVOICE | {"invoice.txt": text}))

    with pytest.raises(PermanentError, match="the mail template invoice cannot be rendered"):
        renderer.render("invoice", GIVEN)


def test_rendering_reads_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = Renderer(written(tmp_path, **INVOICE))

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("rendering asked the file system")

    for function in ("os.stat", "os.path.getmtime", "builtins.open"):
        monkeypatch.setattr(function, refuse)

    assert renderer.render("invoice", GIVEN).subject == "Invoice for <Ada>"


def test_a_service_with_a_wrong_template_does_not_start(tmp_path: Path) -> None:
    written(tmp_path, **{"welcome.txt": "Hello,\n{{ nmae }}"})
    ran = subprocess.run(
        [sys.executable, "-m", "waybill_email"],
        env={
            "PATH": os.environ["PATH"],
            "WAYBILL_SENDER": "a@b.test",
            "WAYBILL_SMTP_TLS": "none",
            "WAYBILL_SEALING": "off",
            "WAYBILL_INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
            "WAYBILL_TEMPLATES_FOLDER": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 78, ran.stdout
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [line["reason"] for line in told if line["level"] == "critical"] == [
        f"{tmp_path}/welcome.txt, line 2: there is no variable nmae: welcome.txt has name, subject"
    ]
