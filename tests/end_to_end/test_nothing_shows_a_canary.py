"""A canary is put through every path, failures included; only mailbox and crm may have it afterwards."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.broker.otlp_receiver import Receiver, receiving
from tests.end_to_end.canary import OUTSIDE, Canary
from tests.end_to_end.stack import PATIENCE, Stack, eventually, started
from waybill_devstack.stack.plan import OPS_ADDRESS
from waybill_testkit.broker import private_broker
from waybill_testkit.machine.ports import LOOPBACK
from waybill_testkit.postgres.private import InstalledPostgres, Postgres, private_postgres
from waybill_worker.attempt.runner import MAX_STARTS

#: The most verbose logs, and an early digest for operators.
TALKATIVE = {
    "WAYBILL_LOG_LEVEL": "debug",
    "WAYBILL_ALERT_WINDOW_SECONDS": "2",
    "WAYBILL_ALERT_MOST_AT_ONCE": "1",
    "WAYBILL_LEASE_SECONDS": "1",
}
#: Whose spans there are; no images are made here.
TRACED = {f"waybill-{name}" for name in ("gateway", "status", "deadletters", "email", "sync")}
SCHEDULE = {"name": "birthday", "kind": "email.requested", "cron": "* * * * *"}


class Watched:
    """A client that searches all answers for the canary."""

    def __init__(self, http: httpx.Client, canary: Canary) -> None:
        self._canary = canary
        self._http = http

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        answer = self._http.request(method, path, json=body, headers=headers)
        where = f"{method} {path.partition('?')[0]} {answer.status_code}"
        self._canary.search(where, answer.content)
        self._canary.search(f"{where}, headers", repr(answer.headers.raw).encode())
        return answer

    def accept(self, path: str, body: Any, key: str | None = None) -> str:
        answer = self.call("POST", path, body, key)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def reveal(self, path: str, **more: Any) -> None:
        """Has it shown to somebody who may see it: then it is in the answer, and must be nowhere else."""
        body = {"reason": "is it written down?"} | more
        answer = self._http.post(f"{path}/reveal", json=body).raise_for_status()
        assert self._canary.word in answer.text
        assert answer.headers["cache-control"] == "no-store"

    def ends(self, task_id: str, state: str) -> None:
        eventually(
            lambda: self.state_of(task_id) == state,
            f"task {task_id} to be {state}",
        )
        self.call("GET", f"/v1/tasks/{task_id}/timeline")

    def state_of(self, task_id: str) -> str:
        return str(self.call("GET", f"/v1/tasks/{task_id}").json()["state"])

    def letter_of(self, task_id: str) -> int:
        found = eventually(
            lambda: self.call("GET", f"/v1/dead-letters?task={task_id}").json()["items"], "the letter"
        )
        return int(found[0]["id"])


@pytest.fixture
def canary() -> Canary:
    return Canary()


@pytest.fixture
def control() -> Canary:
    """Another word, put where nothing is sealed: the id of a record."""
    return Canary()


@pytest.fixture
def traces() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@dataclass(frozen=True)
class Databases:
    """Those of the stack that are on a PostgreSQL; the others are files."""

    server: Postgres
    urls: dict[str, str]

    def search(self, word: Canary) -> None:
        """Searches every row, because the server's files are compressed, and these files."""
        for name, url in self.urls.items():
            with psycopg.connect(url, options="-c bytea_output=escape") as connection:
                tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
                for (table,) in tables.fetchall():
                    whole = SQL("COPY {} TO STDOUT").format(Identifier(table))
                    with connection.cursor().copy(whole) as rows:
                        for row in rows:
                            word.search(f"{name}, {table}", bytes(row))
        if isinstance(self.server, InstalledPostgres):
            with psycopg.connect(self.server.url, autocommit=True) as connection:
                connection.execute("CHECKPOINT")
            assert word.look_into_files(self.server.folder) > 100


@pytest.fixture
def databases() -> Iterator[Databases]:
    with ExitStack() as closing:
        server = closing.enter_context(private_postgres())
        yield Databases(server, {name: server.new_database() for name in ("ledger", "inbox-email")})


@pytest.fixture
def stack(tmp_path: Path, databases: Databases, traces: Receiver) -> Iterator[Stack]:
    (tmp_path / "broker").mkdir()
    program = [sys.executable, str(Path(__file__).with_name("canary_stack.py")), str(tmp_path / ".waybill")]
    with private_broker(tmp_path / "broker", disposable=True) as broker:
        wishes = {"amqp_url": broker.amqp_url, "databases": databases.urls, "settings": TALKATIVE}
        sent = {"OTEL_EXPORTER_OTLP_ENDPOINT": traces.endpoint}
        with started(tmp_path, program, sent, json.dumps(wishes)) as stack:
            yield stack


def test_nothing_but_mailbox_and_crm_ever_shows_it(
    stack: Stack, canary: Canary, control: Canary, tmp_path: Path, databases: Databases, traces: Receiver
) -> None:
    with (
        httpx.Client(base_url=stack.places()["gateway"], timeout=PATIENCE, trust_env=False) as gateway,
        httpx.Client(base_url=stack.places()["crm"], timeout=PATIENCE, trust_env=False) as crm,
    ):
        watched = Watched(gateway, canary)
        with ThreadPoolExecutor(1) as beside:
            killed = beside.submit(_killed_amid_its_work, stack, watched, canary, crm)
            _successes_and_refusals(watched, canary)
            _schedules_and_cancellations(watched, canary)
            killed.result()
        _put_it_everywhere(stack, watched, canary, crm)
        databases.search(canary)
        _the_erasure(stack, watched, canary)
        _put_the_control(watched, control)
        _the_metrics(stack, canary)
    for line in (tmp_path / "up.log").read_text().splitlines():
        if not any(f" {outside} " in line[:30] for outside in OUTSIDE):
            canary.search("up.log", line.encode())
    # Databases, logs, and every queue's messages as the broker keeps them.
    assert canary.look_into_files(tmp_path / ".waybill") > 10
    logs = b"".join(path.read_bytes() for path in (tmp_path / ".waybill" / "up" / "logs").iterdir())
    assert b'"level": "debug"' in logs, "libraries are to say all that they can"
    assert canary.look_into_files(tmp_path / "broker") > 10
    databases.search(canary)
    eventually(lambda: {span.service for span in traces.spans} == TRACED, "spans of every process")
    canary.search("traces", b"".join(traces.bodies))
    assert not canary.seen, "\n".join(canary.seen)
    # What is not sealed is found there: neither database nor broker would hide it from this search.
    control.look_into_files(tmp_path / ".waybill")
    control.look_into_files(tmp_path / "broker")
    databases.search(control)
    for kept in (f"{tmp_path}/broker/data/", "ledger, tasks"):
        assert any(found.startswith(kept) for found in control.seen), (kept, control.seen)


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("after", range(3))
def test_the_word_is_found_in_base64_wherever_it_lies(canary: Canary, before: int, after: int) -> None:
    content = b"something else, " + base64.b64encode(before * b"?" + canary.word.encode() + after * b"?")
    canary.search("in base64", content)
    assert len(canary.seen) == 1
    another = Canary()
    another.search("in base64", content)
    assert another.seen == []


def _put_the_control(watched: Watched, control: Canary) -> None:
    record = {"target": "crm", "resource": "contacts", "id": control.word, "data": {}}
    watched.ends(watched.accept("/v1/syncs", record), "completed")


def _the_metrics(stack: Stack, canary: Canary) -> None:
    """Those of each service; the gateway's are asked for with all else."""
    seen = set()
    for name, pid in stack.pids().items():
        environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
        for port in (
            each.partition("=")[2] for each in environment if each.startswith("WAYBILL_HEALTH_PORT=")
        ):
            answer = httpx.get(f"http://{LOOPBACK}:{port}/metrics", timeout=PATIENCE, trust_env=False)
            canary.search(f"metrics of {name}", answer.raise_for_status().content)
            seen.add(name)
    assert seen == {"status", "deadletters", "email", "images", "sync"}


def _put_it_everywhere(stack: Stack, watched: Watched, canary: Canary, crm: httpx.Client) -> None:
    _failures_that_repeat_it(watched, canary, stack, crm)
    letter = _the_desk(watched, canary, crm)
    for path in ("/v1/tasks", "/v1/accounting", "/v1/dead-letters", "/v1/dead-letters/export"):
        watched.call("GET", path)
    for path in ("/v1/dead-letters/groups", "/v1/audit", "/v1/contracts/waiting", "/metrics"):
        watched.call("GET", path)
    _the_command(stack, canary, letter)
    _the_alerts(stack, canary)

    # It has arrived where it belongs, so that it was there to be seen all along.
    assert any(canary.word in mail["text"] for mail in stack.mails(canary.address))
    assert canary.word in crm.get("/records").text


def _successes_and_refusals(watched: Watched, canary: Canary) -> None:
    mail = {"to": canary.address, "subject": f"For {canary.word}", "text": canary.text} | _ways_back(canary)
    task = watched.accept("/v1/emails", mail, key="first")
    assert watched.accept("/v1/emails", mail, key="first") == task
    assert watched.call("POST", "/v1/emails", mail | {"text": canary.word}, key="first").status_code == 422
    welcome = {"to": canary.address, "template": "welcome", "params": {"name": canary.word}}
    user = {"email": canary.address, "name": canary.word, "attributes": {"plan": canary.word}}
    tasks = [
        task,
        watched.accept("/v1/emails", welcome),
        watched.accept("/v1/users", user),
        watched.accept("/v1/password-resets", {"email": canary.address}),
    ]
    for wrong in (
        mail | {"to": f"{canary.word} at example.com"},
        mail | {"subject": f"{canary.word}\nBcc: eve@example.com"},
        mail | {"text": [canary.word]},
        mail | {"text": f"{canary.word}\0"},
        mail | {"list_unsubscribe": [f"http://example.com/{canary.address}"]},
        mail | {"reply_to": f"{canary.word} <{canary.address}>"},
        {"to": canary.address, "template": "welcome", "params": {"name": {canary.word: 1}}},
        canary.word,
    ):
        assert watched.call("POST", "/v1/emails", wrong).status_code == 422
    for task in tasks:
        watched.ends(task, "completed")
    found = watched.call("GET", f"/v1/tasks?person={canary.address.upper()}").json()["items"]
    assert {task["id"] for task in found} == set(tasks)
    assert found == watched.call("GET", f"/v1/tasks?q={canary.address}").json()["items"]


def _ways_back(canary: Canary) -> dict[str, object]:
    links = [f"https://example.com/unsubscribe/{canary.address}", f"mailto:{canary.address}?subject=stop"]
    return {"reply_to": canary.address, "list_unsubscribe": links}


def _schedules_and_cancellations(watched: Watched, canary: Canary) -> None:
    body = {"to": canary.address, "subject": canary.word, "text": canary.text} | _ways_back(canary)
    made = watched.call("POST", "/v1/schedules", SCHEDULE | {"body": body}).json()
    here = f"/v1/schedules/{made['id']}"
    assert watched.call("PATCH", here, {"body": made["body"]}).status_code == 422
    assert watched.call("PATCH", here, {"cron": "0 0 1 1 *", "body": body}).status_code == 200
    assert watched.call("PATCH", here, {"paused": True}).status_code == 200
    watched.call("GET", "/v1/schedules")
    watched.call("GET", here)
    watched.reveal(here)
    later = watched.accept("/v1/emails", body | {"delay_seconds": 3600})
    assert watched.call("POST", f"/v1/tasks/{later}/cancel").json()["outcome"] == "prevented"


def _failures_that_repeat_it(watched: Watched, canary: Canary, stack: Stack, crm: httpx.Client) -> None:
    mail = {"to": canary.address, "subject": canary.word, "text": canary.text} | _ways_back(canary)
    for mode in ("reject", "tempfail"):
        # Both answers name the recipient, as those of real servers do.
        stack.mailbox.post("/api/faults", json={"mode": mode, "count": 1}).raise_for_status()
        watched.ends(watched.accept("/v1/emails", mail), "failed" if mode == "reject" else "completed")
    # The crm repeats the record that it refuses.
    crm.post("/faults", json={"status": 503, "id": "shy", "count": 1}).raise_for_status()
    record = {"target": "crm", "resource": "contacts", "id": "shy", "data": {"name": canary.word}}
    watched.ends(watched.accept("/v1/syncs", record), "completed")


def _the_desk(watched: Watched, canary: Canary, crm: httpx.Client) -> int:
    crm.post("/faults", json={"status": 422, "id": "bad", "count": 1}).raise_for_status()
    record = {
        "target": "crm",
        "resource": "contacts",
        "id": "bad",
        "data": {"name": canary.word, "city": "?"},
    }
    task = watched.accept("/v1/syncs", record)
    watched.ends(task, "failed")
    letter = watched.letter_of(task)
    shown = watched.call("GET", f"/v1/dead-letters/{letter}").json()
    assert shown["payload"]["data"] == "[redacted]"
    assert "***" in shown["error"]["message"]
    patch = [{"op": "replace", "path": "/data/city", "value": canary.word}]
    preview = watched.call("POST", f"/v1/dead-letters/{letter}/preview", {"patch": patch}).json()
    assert (preview["verdict"], preview["payload"]["data"]) == ("valid", "[redacted, changed]")
    for nosy in (
        {"op": "test", "path": "/data/name", "value": "x"},
        {"op": "copy", "from": "/data/name", "path": "/id"},
        {"op": "remove", "path": "/data/nowhere"},
    ):
        answer = watched.call("POST", f"/v1/dead-letters/{letter}/preview", {"patch": [nosy]})
        assert answer.json()["verdict"] == "unfixable"
    wish = {"ids": [letter], "edits": [{"patch": patch}], "note": "a wrong city", "canary": 1}
    plan = watched.call("POST", "/v1/redrives", wish).json()
    assert plan["edits"][0]["patch"][0]["value"] == "[redacted]"
    watched.reveal(f"/v1/tasks/{task}")
    watched.reveal(f"/v1/dead-letters/{letter}", patch=patch)
    watched.reveal(f"/v1/redrives/{plan['id']}/letters/{letter}")
    trail = watched.call("GET", f"/v1/audit?subject={task}").json()["items"]
    assert [deed["action"] for deed in trail] == ["reveal"] * 3
    watched.call("POST", f"/v1/redrives/{plan['id']}/start", {"hash": plan["hash"]})
    watched.ends(task, "completed")
    watched.call("GET", f"/v1/redrives/{plan['id']}/letters")
    return letter


def _killed_amid_its_work(stack: Stack, watched: Watched, canary: Canary, crm: httpx.Client) -> None:
    """A record that is at work whenever its process is killed, until it is given up."""
    crm.post("/faults", json={"delay": 2 * PATIENCE, "id": "deadly"}).raise_for_status()
    record = {"target": "crm", "resource": "contacts", "id": "deadly", "data": {"name": canary.word}}
    task = watched.accept("/v1/syncs", record)
    for run in count(1):

        def has_begun_or_failed(run: int = run) -> str | None:
            calls: list[dict[str, str]] = crm.get("/requests").json()
            if run == sum(call["path"].endswith("/deadly") for call in calls):
                return "begun"
            return "failed" if watched.state_of(task) == "failed" else None

        if eventually(has_begun_or_failed, f"run {run} to begin, or the task to fail") == "failed":
            # One that had others' work beside it does not count.
            assert run > MAX_STARTS
            break
        os.kill(stack.pids()["sync"], signal.SIGKILL)
    watched.ends(task, "failed")
    letter = watched.call("GET", f"/v1/dead-letters/{watched.letter_of(task)}").json()
    assert letter["reason"] == "crashed"
    # Else the mail about it would have the fault that is meant for another.
    eventually(lambda: stack.mails(OPS_ADDRESS), "the alert about it")


def _the_alerts(stack: Stack, canary: Canary) -> None:
    """One that is sent at once, and the digest with the others."""

    def mails() -> list[dict[str, Any]]:
        found = stack.mails(OPS_ADDRESS)
        return found if any("more subtask" in mail["text"] for mail in found) else []

    for mail in eventually(mails, "an alert and a digest"):
        canary.search("an alert", repr(mail).encode())


def _the_command(stack: Stack, canary: Canary, letter: int) -> None:
    commands: list[tuple[str, ...]] = [
        *(("tasks", "ls"), ("dlq", "ls"), ("dlq", "groups"), ("dlq", "redrives"), ("schedules", "ls")),
        *(("dlq", "export"), ("dlq", "show", str(letter)), ("dlq", "audit")),
    ]
    with ThreadPoolExecutor(2) as running:
        assert set(running.map(lambda words: _waybill(stack, canary, *words), commands)) == {0}


def _waybill(stack: Stack, canary: Canary, *words: str) -> int:
    ran = subprocess.run(
        [Path(sys.executable).with_name("waybill"), *words, "--url", stack.places()["gateway"]],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    canary.search(f"waybill {' '.join(words[:2])}", ran.stdout + ran.stderr)
    return ran.returncode


def _the_erasure(stack: Stack, watched: Watched, canary: Canary) -> None:
    person = {"address": canary.address}
    assert watched.call("POST", "/v1/persons/lookups", person).json()["tasks"]["completed"] > 0
    erase = ("persons", "erase", canary.address, "--cancel", "--yes")
    eventually(lambda: _waybill(stack, canary, *erase) == 0, "nothing to be open")
    held = watched.call("POST", "/v1/persons/lookups", person).json()
    assert not any((*held.pop("tasks").values(), *held.values())), held
    assert watched.call("GET", f"/v1/tasks?person={canary.address}").json()["items"] == []
