import json
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from command_under_test import EMAIL, Ran, Waybill
from desk_of_command import UNFIT, dead

from waybill_cli.output.letter_views import sparkline
from waybill_testkit.eventually import POLL_SECONDS
from waybill_testkit.gateway.served import Served


def ids(waybill: Waybill, *filters: str) -> list[int]:
    return [letter["id"] for letter in waybill("dlq", "ls", "--json", *filters).lines]


def planned(waybill: Waybill, *arguments: str | int) -> dict[str, Any]:
    return waybill("dlq", "plan", *arguments, "--json").document


def test_groups_letters_and_one_of_each_are_shown(gateway: Served, waybill: Waybill) -> None:
    tasks = dead(gateway, 2)
    listed = waybill("dlq", "groups").out.splitlines()
    assert listed[0].split()[:4] == ["GROUP", "STATE", "DEAD", "ALL"]
    assert "TransientError: crm answered 503" in listed[1]
    [group] = waybill("dlq", "groups", "--state", "open", "--json").lines
    assert "2 dead" in waybill("dlq", "show", group["id"]).out
    letters = waybill("dlq", "ls", "--group", group["id"], "--json").lines
    assert {letter["task_id"] for letter in letters} == set(tasks)
    shown = waybill("dlq", "show", letters[0]["id"])
    assert '"target": "crm"' in shown.out
    assert letters[0]["task_id"] in shown.out
    assert waybill("dlq", "ls", "--since", "1h", "--service", "email", "--json").lines == []


def test_a_note_is_kept_with_its_group_and_in_the_trail(gateway: Served, waybill: Waybill) -> None:
    dead(gateway)
    [group] = waybill("dlq", "groups", "--json").lines
    assert waybill("dlq", "note", group["id"], "ticket 7", "--actor", "ann").code == 0
    assert "ticket 7" in waybill("dlq", "show", group["id"]).out
    [deed] = waybill("dlq", "audit", "--who", "ann", "--json").lines
    assert (deed["actor"], deed["group"]) == ("ann", group["id"])


def test_a_plan_tells_what_it_would_do_and_sends_nothing(gateway: Served, waybill: Waybill) -> None:
    dead(gateway, 2)
    dead(gateway, 1, **UNFIT)
    shown = waybill("dlq", "plan", "--service", "sync", "--note", "crm is back", "--rate", 100, "--canary", 1)
    assert shown.code == 0
    assert "will run         2 (2 sync.work)" in shown.out
    assert "resource: is required" in shown.out
    assert "Nothing was sent. Start it: waybill dlq start 1 --hash " in shown.err
    assert {letter["state"] for letter in waybill("dlq", "ls", "--json").lines} == {"dead"}
    assert waybill("dlq", "progress", 1).out.splitlines()[0].split() == ["redrive", "1"]
    assert waybill("dlq", "redrives", "--json").document["note"] == "crm is back"


def test_a_plan_is_started_steered_and_ended(gateway: Served, waybill: Waybill) -> None:
    dead(gateway, 3)
    plan = planned(waybill, "--service", "sync")
    wrong = waybill("dlq", "start", plan["id"], "--hash", "0" * 64, "--yes")
    assert wrong.code == 4
    assert "hash: differs" in wrong.err
    unasked = waybill("dlq", "start", plan["id"])
    assert unasked.code == 2
    assert "will run" in unasked.out
    started = waybill("dlq", "start", plan["id"], "--hash", plan["hash"], "--yes", "--no-wait")
    assert (started.code, started.out) == (0, "started  1\n")
    again = waybill("dlq", "start", plan["id"], "--yes", "--no-wait")
    assert again.code == 4
    assert "started it at" in again.err
    assert waybill("dlq", "pause", plan["id"], "--because", "lunch").out == "paused  1\n"
    assert waybill("dlq", "resume", plan["id"]).out == "running  1\n"
    assert waybill("dlq", "progress", plan["id"], "--json").document["progress"]["waiting"] == 3
    assert waybill("dlq", "cancel", plan["id"]).code == 2
    assert waybill("dlq", "cancel", plan["id"], "--yes").out == "cancelled  1\n"
    assert waybill("dlq", "progress", plan["id"]).code == 1
    outcomes = waybill("dlq", "outcomes", plan["id"], "--state", "skipped", "--json").lines
    assert [item["skipped_because"] for item in outcomes] == ["cancelled"] * 3
    trail = waybill("dlq", "audit", "--redrive", plan["id"], "--json").lines
    assert [deed["action"] for deed in trail] == ["cancel", "resume", "pause", "start", "plan"]


def test_a_redrive_is_followed_to_its_end(gateway: Served, waybill: Waybill) -> None:
    dead(gateway)
    plan = planned(waybill, "--service", "sync")

    def cancel_once_it_runs() -> None:
        url = f"{gateway.url}/v1/redrives/{plan['id']}"
        while httpx.get(url).json()["state"] != "running":
            time.sleep(POLL_SECONDS)
        httpx.post(f"{url}/cancel", json={}).raise_for_status()

    somebody = Thread(target=cancel_once_it_runs)
    somebody.start()
    followed = waybill("dlq", "start", plan["id"], "--yes")
    somebody.join()
    assert followed.code == 1
    assert "cancelled" in followed.out


def test_an_edit_is_tried_and_planned(gateway: Served, waybill: Waybill) -> None:
    dead(gateway, **UNFIT)
    [letter] = ids(waybill, "--verdict", "unfixable")
    half = waybill("dlq", "edit", letter, "--set", "/id=7")
    assert half.code == 1
    assert "resource: is required" in half.err
    mended = ("--set", '/id="7"', "--set", "/resource=contacts", "--set", '/data={"city": "London"}')
    tried = waybill("dlq", "edit", letter, *mended, "--preview", "--json")
    assert (tried.document["verdict"], tried.document["payload"]["id"]) == ("valid", "7")
    assert tried.document["payload"]["data"] == "[redacted, changed]"
    assert waybill("dlq", "redrives", "--json").lines == []
    plan = waybill("dlq", "edit", letter, *mended, "--json").document
    assert (plan["letters"], plan["dry_run"]["edited"], plan["dry_run"]["will_run"]) == (1, 1, 1)


def test_an_edit_in_the_editor_becomes_a_patch(
    gateway: Served, waybill: Waybill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead(gateway)
    [letter] = ids(waybill)

    def editor(code: str) -> None:
        script = tmp_path / "editor.py"
        script.write_text(f"import json, sys\npath = sys.argv[1]\nd = json.load(open(path))\n{code}\n")
        monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")

    # What is sensitive is not in the editor: it can be given anew, as a whole.
    editor("d['id'] = d['data'].strip('[]'); d['data'] = {'city': 'London'}; json.dump(d, open(path, 'w'))")
    tried = waybill("dlq", "edit", letter, "--preview", "--json")
    assert tried.document["payload"]["id"] == "redacted"
    assert tried.document["payload"]["data"] == "[redacted, changed]"
    editor("open(path, 'w').write('{')")
    assert "is not JSON" in waybill("dlq", "edit", letter).err
    editor("json.dump(d, open(path, 'w'), indent=1)")
    unchanged = waybill("dlq", "edit", letter)
    assert (unchanged.code, "nothing was changed" in unchanged.err) == (1, True)


def test_letters_are_discarded_archived_and_restored(gateway: Served, waybill: Waybill) -> None:
    dead(gateway, 2)
    first, second = ids(waybill)
    assert waybill("dlq", "discard", first, "--because", "a test").code == 2
    gone = waybill("dlq", "discard", first, "--because", "a test", "--yes")
    assert gone.out.startswith("discard: 1 letter(s), restorable until ")
    assert (
        waybill("dlq", "archive", "--service", "sync", "--because", "kept", "--yes", "--json").document[
            "changed"
        ]
        == 1
    )
    assert "a test" in waybill("dlq", "show", first).out
    assert ids(waybill, "--state", "archived") == [second]
    assert waybill("dlq", "restore", first, second).out == "restored 2\n"


@pytest.mark.parametrize(
    "wrong",
    [
        ["plan"],
        ["plan", "17", "--service", "sync"],
        ["plan", "17", "--set", "city=London"],
        ["plan", "17", "--set", "/city"],
        ["plan", "17", "--remove", "city"],
        ["discard", "17", "--yes"],
        ["show", "../tasks"],
        ["start", "0"],
    ],
)
def test_a_command_line_that_means_nothing_exits_2(waybill: Waybill, wrong: list[str]) -> None:
    assert waybill("dlq", *wrong).code == 2


def test_a_patch_comes_from_a_file(gateway: Served, waybill: Waybill, tmp_path: Path) -> None:
    dead(gateway)
    path = tmp_path / "mend.json"
    path.write_text(json.dumps([{"op": "replace", "path": "/id", "value": "8"}]))
    assert planned(waybill, "--service", "sync", "--patch", str(path))["dry_run"]["edited"] == 1
    path.write_text('{"op": "replace"}')
    assert waybill("dlq", "plan", "--service", "sync", "--patch", path).code == 2
    path.write_text('[{"op": "replace"}]')
    refused: Ran = waybill("dlq", "plan", "--service", "sync", "--patch", path)
    assert refused.code == 4
    assert "not a JSON Patch" in refused.err


def test_nothing_that_fits_a_filter_is_refused(waybill: Waybill) -> None:
    nothing = waybill("dlq", "plan", "--service", "sync")
    assert nothing.code == 4
    assert "no letter that is dead" in nothing.err


def test_an_export_is_whole_and_holds_against_the_contracts(
    gateway: Served, waybill: Waybill, tmp_path: Path
) -> None:
    dead(gateway, 2)
    path = tmp_path / "letters.jsonl"
    assert waybill("dlq", "export", "-o", path).out == f"exported 2 to {path}\n"
    assert len(path.read_text().splitlines()) == 2
    assert [letter["id"] for letter in waybill("dlq", "export").lines] == ids(waybill)[::-1]
    assert waybill("contracts", "check", "--against", path).code == 0
    assert waybill("contracts", "check").code == 0
    dead(gateway, **UNFIT)
    gateway.post("/v1/emails", EMAIL)
    checked = waybill("contracts", "check", "--json")
    assert (checked.code, {line["where"] for line in checked.lines}) == (1, {"task", "dead_letter"})
    waybill("dlq", "export", "-o", path)
    assert waybill("contracts", "check", "--against", path).code == 1
    assert list(tmp_path.glob("*.part")) == []


def test_bars_tell_a_day() -> None:
    assert sparkline([0, 1, 4, 8]) == ".▁▄█"
    assert sparkline([]) == ""
