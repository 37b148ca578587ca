"""Seeing what is sealed at a terminal: with a reason, and never by default."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from command_under_test import EMAIL, Waybill
from desk_of_command import SYNC, dead_and_sealed
from sqlalchemy import select

from waybill_contracts.privacy.seal import Keyring, is_sealed
from waybill_ledger import Scope, Secret
from waybill_ledger.access.first_keys import make_missing_keys, new_key
from waybill_ledger.schema.desk_tables import REDRIVE_LETTERS
from waybill_testkit.gateway.served import Served, served

BODY = SYNC | {"data": {"name": "Ann", "city": "Lodnon"}}
SCHEDULE = {"name": "hello", "kind": "email.requested", "cron": "0 8 * * MON", "body": EMAIL}
WHY = ("--reveal", "--reason", "ticket 7")
KEYS = Keyring.new_key()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, sealing_keys=KEYS) as running:
        yield running


@pytest.fixture
def task(gateway: Served) -> str:
    return dead_and_sealed(gateway, Keyring.of(KEYS), BODY)


def test_a_letter_a_task_and_a_schedule_are_shown_as_they_are(
    gateway: Served, waybill: Waybill, task: str
) -> None:
    schedule = gateway.post("/v1/schedules", SCHEDULE)
    for command, value in (
        (("dlq", "show", "1"), '"city": "Lodnon"'),
        (("tasks", "show", task), '"city": "Lodnon"'),
        (("schedules", "show", "hello"), EMAIL["to"]),
    ):
        masked = waybill(*command)
        assert (masked.code, value in masked.out) == (0, False)
        shown = waybill(*command, *WHY, "--actor", "ann")
        assert (shown.code, value in shown.out) == (0, True), shown
    assert waybill("dlq", "show", "1", *WHY, "--json").document["payload"] == BODY
    assert waybill("tasks", "show", task, *WHY, "--json").document["revealed"]["payload"] == BODY
    trail = waybill("audit", "--who", "ann", "--json").lines
    assert [deed["subject"] for deed in trail] == [schedule, task, task]
    assert {deed["reason"] for deed in trail} == {"ticket 7"}
    assert "letter 1; ticket 7" in waybill("audit", "--subject", task[:18]).out
    assert waybill("audit", "--subject", schedule, "--json").document["action"] == "reveal"
    assert waybill("dlq", "audit", "--action", "reveal").out == waybill("audit", "--action", "reveal").out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("dlq", "show", "1", "--reveal"), "say why"),
        (("dlq", "show", "1", "--reveal", "--reason", " "), "say why"),
        (("dlq", "show", "1", "--reason", "x"), "--reason belongs to --reveal"),
        (("dlq", "show", "1", "--redrive", "1"), "--redrive needs --reveal"),
        (("dlq", "show", "abc", *WHY), "--reveal works on a letter only"),
    ],
)
def test_without_a_reason_it_is_no_reveal(
    waybill: Waybill, task: str, line: tuple[str, ...], said: str
) -> None:
    assert task
    wrong = waybill(*line)
    assert (wrong.code, said in wrong.err) == (2, True), wrong.err
    assert waybill("audit", "--json").lines == []


def test_an_edit_is_masked_unless_it_is_revealed(gateway: Served, waybill: Waybill, task: str) -> None:
    assert task
    london = ("dlq", "edit", "1", "--set", "/data/city=London")
    masked = waybill(*london, "--preview")
    assert '"data": "[redacted, changed]"' in masked.out
    assert "Lodnon" not in masked.out
    seen = waybill(*london, "--preview", *WHY)
    before, after = seen.out.split("after (valid)")
    assert ("Lodnon" in before, "London" in before) == (True, False)
    assert ("Lodnon" in after, "London" in after) == (False, True)
    document = waybill(*london, "--preview", *WHY, "--json").document
    assert document["before"]["payload"]["data"]["city"] == "Lodnon"
    assert (document["payload"]["data"]["city"], document["verdict"]) == ("London", "valid")
    plan = waybill(*london, "--json").document
    kept: list[bytes] = []
    gateway.write(lambda c: kept.append(c.execute(select(REDRIVE_LETTERS.c.edited)).scalar_one()))
    assert is_sealed(json.loads(kept[0])["data"])
    in_plan = waybill("dlq", "show", "1", "--redrive", plan["id"], *WHY).out
    assert (
        in_plan.index("Lodnon")
        < in_plan.index(f"redrive {plan['id']} sends instead")
        < in_plan.index("London")
    )


def test_a_sealed_field_is_edited_in_the_editor(
    waybill: Waybill, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert task
    script = tmp_path / "editor.py"
    script.write_text(
        "import json, sys\npath = sys.argv[1]\nd = json.load(open(path))\n"
        # A diff would say that the name was moved to where it shows.
        "d['data'] = {'city': 'London'}; d['id'] = 'Ann'\njson.dump(d, open(path, 'w'))\n"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")
    tried = waybill("dlq", "edit", "1", "--preview", *WHY, "--json").document
    assert tried["verdict"] == "valid", tried
    assert (tried["payload"]["data"], tried["payload"]["id"]) == ({"city": "London"}, "Ann")


def test_a_key_without_the_scope_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(tmp_path, sealing_keys=KEYS, gateway_auth="keys") as gateway:
        masked, seeing = Secret.new(), Secret.new()
        scopes = {masked: (Scope.READ,), seeing: (Scope.READ, Scope.REVEAL, Scope.SUBMIT)}
        make_missing_keys(
            gateway.ledger_url,
            [new_key(secret, name="test", scopes=each, actor="test") for secret, each in scopes.items()],
        )
        waybill = Waybill(capsys, gateway.url)
        posted = httpx.post(
            f"{gateway.url}/v1/syncs", json=BODY, headers={"Authorization": f"Bearer {seeing.token}"}
        )
        made = posted.json()["id"]
        refused = waybill("tasks", "show", made, *WHY, "--api-key", masked.token)
        assert (refused.code, refused.out) == (4, "")
        assert "This key does not allow reveal" in refused.err
        shown = waybill("tasks", "show", made, *WHY, "--api-key", seeing.token)
        assert "Lodnon" in shown.out


def test_what_was_erased_says_so_and_a_secret_stays_hidden(
    gateway: Served, waybill: Waybill, task: str
) -> None:
    reset = gateway.post("/v1/password-resets", {"email": "ann@example.com"})
    shown = waybill("tasks", "show", reset, *WHY).out
    assert '"email": "ann@example.com"' in shown
    assert "link is not shown: it is a secret" in shown
    waybill("tasks", "erase", task, "--yes")
    gone = waybill("tasks", "show", task, *WHY)
    assert (gone.code, "was erased at" in gone.err) == (4, True)
