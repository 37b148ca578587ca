"""Tables on a terminal of 80 columns: nothing is wider, nothing is cut but ids."""

from collections.abc import Iterator

import click
import pytest
from command_under_test import EMAIL, WAYBILL, Waybill
from desk_of_command import dead
from terminal import on_a_terminal, ran_on_a_terminal

from waybill_cli.main import root, run
from waybill_cli.output.tables import fitted, whole
from waybill_contracts.wire.lifecycle import ErrorInfo
from waybill_testkit.gateway.served import Served

LONG_ERROR = ErrorInfo(type="PermanentError", message=" ".join(["crm answered 422:", *["word"] * 60]))
ID = "01a20797-6d09-71fe-b759-803ec3a459ee"
OTHER = "01a20797-6d09-71fe-b75a-803ec3a459ee"
#: All that lists something, with a ledger in which there is something of each.
LISTINGS = [
    ("tasks", "ls"),
    ("schedules", "ls"),
    ("keys", "ls"),
    ("kinds", "ls"),
    ("services", "ls"),
    ("services", "show", "email"),
    ("accounting",),
    ("top", "--once"),
    ("audit",),
    ("dlq", "groups"),
    ("dlq", "ls"),
    ("dlq", "redrives"),
    ("dlq", "outcomes", "1"),
    ("dlq", "show", "1"),
    ("dlq", "progress", "1"),
]


def lines(columns: list[str], *rows: list[str], width: int = 80) -> list[str]:
    return ["".join(line).rstrip() for line in fitted(columns, rows, width)]


def furnished(gateway: Served, waybill: Waybill) -> str:
    [task, *_] = dead(gateway, 3, error=LONG_ERROR)
    gateway.post("/v1/password-resets", {"email": "somebody.with.a.long.name@mail.example.com"})
    gateway.post(
        "/v1/schedules",
        {"name": "n" * 60, "kind": "email.requested", "cron": "*/5 8-18 * * MON-FRI", "body": EMAIL},
    )
    waybill("keys", "create", "--name", "k" * 40, "--scope", "read", "--scope", "operate", "--tenant", "acme")
    assert waybill("dlq", "plan", "--service", "sync", "--note", "why " * 30).code == 0
    return task


#: Runs command lines in one process, and says how each ended.
IN_TURN = """
from waybill_cli.main import run
for words in {commands!r}:
    print("-- ended:", run([*words, "--url", {url!r}]))
"""


def test_every_listing_fits_80_columns(gateway: Served, waybill: Waybill) -> None:
    task = furnished(gateway, waybill)
    commands = [*LISTINGS, ("tasks", "show", task)]
    shown = on_a_terminal(IN_TURN.format(commands=commands, url=gateway.url), COLUMNS="80", NO_COLOR="1")
    *listings, last = shown.replace("\r", "").split("-- ended: 0\n")
    assert (len(listings), last) == (len(commands), ""), shown
    for command, listing in zip(commands, listings, strict=True):
        written = listing.splitlines()
        assert len(written) > 1, command
        assert [line for line in written if len(line) > 80] == [], command


def commands(path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group that there is."""
    yield path
    command: click.Command | None = root
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from commands((*path, name))


def test_help_fits_80_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    seen = list(commands())
    assert len(seen) > 30
    for path in seen:
        assert run([*path, "--help"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines if len(line) > 80] == [], path


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_words_are_never_cut(width: int) -> None:
    error = " ".join(f"word{n}" for n in range(60))
    shown = lines(["LETTER", "STATE", "TASK", "ERROR"], ["17", "dead", ID, error], width=width)
    assert max(map(len, shown)) <= width
    assert " ".join(" ".join(shown).split()).endswith(error)


def test_long_text_has_a_line_of_its_own_and_ids_are_as_short_as_they_may_be() -> None:
    rows = [[ID, "email.requested", "scheduled", "a" * 40, "email scheduled"]]
    heading = ["ID", "KIND", "STATE", "ABOUT", "SUBTASKS"]
    assert lines(heading, *rows, width=160)[1].startswith(ID)
    assert lines(heading, *rows, width=100) == [
        "ID                  KIND             STATE      ABOUT",
        "    SUBTASKS",
        f"01a20797-6d09-71fe  email.requested  scheduled  {'a' * 40}",
        "    email scheduled",
    ]
    shown = lines(["ID", "STATE", "ABOUT"], [ID, "failed", "x" * 35], [OTHER, "failed", "y"], width=70)
    assert [line.split()[0] for line in shown[1:]] == ["01a20797-6d09-71fe-b759", "01a20797-6d09-71fe-b75a"]


def test_what_goes_below_without_a_heading_has_its_name() -> None:
    numbers = [str(n) * 6 for n in range(1, 9)]
    shown = lines(["KIND", *(f"NUMBER {n}" for n in range(1, 9))], ["k" * 30, *numbers])
    assert shown[-1].endswith("number 8 888888")


def test_a_pipe_has_whole_columns_whatever_the_terminal(gateway: Served, waybill: Waybill) -> None:
    task = furnished(gateway, waybill)
    piped = waybill("dlq", "ls").out.splitlines()
    assert len(piped) == 4
    assert piped[0].split() == [
        *("LETTER", "STATE", "DIED", "SERVICE", "REASON", "VERDICT", "EFFECT", "TASK", "ERROR")
    ]
    assert any(task in line and line.endswith("word " * 59 + "word") for line in piped)
    assert "".join(whole(["ID"], [[ID]])[1]).strip() == ID


def test_wide_characters_count_twice() -> None:
    shown = lines(["NAME", "ABOUT"], ["n", "水" * 60], width=80)
    assert [len(line) for line in shown if "水" in line] == [42, 26]


def test_a_terminal_is_as_wide_as_it_says(gateway: Served, waybill: Waybill) -> None:
    furnished(gateway, waybill)
    for columns in ("60", "200"):
        shown, _ = ran_on_a_terminal(
            [*WAYBILL, "dlq", "ls", "--url", gateway.url], COLUMNS=columns, NO_COLOR="1"
        )
        widest = max(map(len, shown.replace("\r", "").splitlines()))
        assert widest <= int(columns)
