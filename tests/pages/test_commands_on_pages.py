"""The commands that pages name: each is one, with these options."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from waybill_cli.commands.dlq.group import dlq
from waybill_cli.main import root
from waybill_gateway import ui

DOCUMENT = Path(__file__).parents[2] / "docs" / "ui.md"
TEMPLATES = Path(ui.__file__).parent / "templates"


def named() -> Iterator[tuple[str, list[str]]]:
    for path in sorted(TEMPLATES.rglob("*.html")):
        for words in re.findall(r"<code>waybill ([^<]*)</code>", path.read_text()):
            yield path.name, re.sub(r"{{.*?}}", " 1", words).split()


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


def screens() -> dict[str, list[str]]:
    """The commands of the failure desk in the document, each with the paths of its pages."""
    rows = re.findall(r"^\| `([a-z]+)` \| (.*/ui/.*) \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {command: re.findall(r"`(/ui/[^`]*)`", cell) for command, cell in rows}


def test_each_command_of_the_failure_desk_has_its_page() -> None:
    desk = dlq.list_commands(click.Context(dlq))
    assert sorted(screens()) == sorted(desk)


def test_each_page_of_a_command_is_there() -> None:
    routes = {route.path for module in ui.PAGES for route in module.router.routes}
    for command, paths in screens().items():
        assert paths, command
        assert set(paths) <= routes, command


def test_each_command_of_the_failure_desk_is_named_on_a_page() -> None:
    shown = {words[1] for _, words in named() if words[0] == "dlq"}
    assert set(dlq.list_commands(click.Context(dlq))) - shown == set()
