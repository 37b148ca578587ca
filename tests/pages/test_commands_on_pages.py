"""The commands that pages name: each is one, with these options."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from waybill_cli.main import root
from waybill_gateway import ui

TEMPLATES = Path(ui.__file__).parent / "templates"


def named() -> Iterator[tuple[str, list[str]]]:
    for path in sorted(TEMPLATES.rglob("*.html")):
        for words in re.findall(r"<code>waybill ([^<]*)</code>", path.read_text()):
            yield path.name, re.sub(r"{{.*?}}", "1", words).split()


def test_each_command_that_a_page_names_is_one() -> None:
    found = list(named())
    assert len(found) > 4
    for page, words in found:
        command: click.Command = root
        while isinstance(command, click.Group):
            child = command.get_command(click.Context(command), words.pop(0))
            assert child is not None, page
            command = child
        options = {option for each in command.params for option in each.opts}
        assert {word for word in words if word.startswith("--")} <= options, (page, words)
