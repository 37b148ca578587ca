"""The stack of `make up`, used as an application would."""

import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.stack import PATIENCE, Stack, eventually
from tests.soak.outage import take_broker_away
from tests.soak.stack import SoakStack
from waybill_testkit.broker import Broker
from waybill_testkit.machine.ports import LOOPBACK

#: Rules and dashboards of an installation.
DEPLOY = Path(__file__).parents[3] / "deploy"


def test_a_mail_is_accepted_sent_and_on_record(stack: Stack) -> None:
    task_id = stack.post_mail("one@example.com")
    task = stack.completed(task_id)
    (mail,) = stack.mails("one@example.com")
    assert mail["message_id"] == task["subtasks"][0]["result"]["message_id"]
    events = stack.gateway.get(f"/v1/tasks/{task_id}/timeline").json()["events"]
    assert [event["type"] for event in events] == ["task.accepted", "task.started", "task.completed"]


def test_a_repeated_post_sends_one_mail(stack: Stack) -> None:
    mail = {"to": "twice@example.com", "subject": "Hello", "text": "Once."}
    key = {"Idempotency-Key": "order-17"}
    first = stack.gateway.post("/v1/emails", json=mail, headers=key)
    stack.completed(first.json()["id"])
    second = stack.gateway.post("/v1/emails", json=mail, headers=key)
    assert (second.status_code, second.json()) == (202, first.json())
    assert len(stack.mails("twice@example.com")) == 1


def test_a_scheduled_mail_is_sent_when_it_is_due(stack: Stack) -> None:
    due = datetime.now(UTC) + timedelta(seconds=3)
    task_id = stack.post_mail("later@example.com", send_at=due.isoformat())
    assert stack.task(task_id)["state"] == "scheduled"
    stack.completed(task_id)
    (mail,) = stack.mails("later@example.com")
    assert datetime.fromisoformat(mail["received_at"]) >= due


def test_some_process_exports_each_metric_of_rules_and_dashboard(stack: Stack) -> None:
    addresses = [stack.places()["gateway"]]
    for pid in stack.pids().values():
        ports = re.findall(r"WAYBILL_HEALTH_PORT=(\d+)", Path(f"/proc/{pid}/environ").read_text())
        addresses += [f"http://{LOOPBACK}:{port}" for port in ports]
    exported = "".join(httpx.get(f"{address}/metrics", trust_env=False).text for address in addresses)
    asked = {
        re.sub(r"_(bucket|count|sum)$", "", name)
        for path in ("prometheus/alerts.yml", "grafana/dashboards/waybill.json")
        for name in re.findall(r"\bwaybill_\w+", (DEPLOY / path).read_text())
    }
    assert len(addresses) == 6
    assert len(asked) > 15
    assert asked - set(re.findall(r"^# TYPE (\w+)", exported, re.MULTILINE)) == set()


def test_a_steady_load_is_answered_without_a_broker_and_done_when_it_is_back(
    stack: Stack, stack_broker: Broker
) -> None:
    with closing(SoakStack(stack.folder, stack_broker)) as whole:
        outage = take_broker_away(whole, seconds=5, rate=20)
    assert outage.accepted == len(outage.answers)
    assert outage.completed == len(outage.answers)
    assert len(outage.answer_seconds(away=True)) > 50


def test_a_task_is_cancelled_while_its_service_is_dead(stack: Stack) -> None:
    """Pain: a revocation is forgotten on restart (hatchet 1010, celery 1246)."""
    crm = httpx.Client(base_url=stack.places()["crm"], trust_env=False)
    crm.post("/faults", json={"status": 503, "id": "called-off"}).raise_for_status()
    record = {"target": "crm", "resource": "contacts", "id": "called-off", "data": {}}
    task_id = stack.gateway.post("/v1/syncs", json=record).raise_for_status().json()["id"]
    eventually(lambda: stack.task(task_id)["state"] == "retrying", "a first attempt to fail")
    os.kill(stack.pids()["sync"], signal.SIGKILL)
    answer = stack.gateway.post(f"/v1/tasks/{task_id}/cancel")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "stopping")
    crm.post("/faults", json={}).raise_for_status()
    eventually(lambda: stack.task(task_id)["state"] == "cancelled", "the task to be cancelled")
    assert stack.gateway.post(f"/v1/tasks/{task_id}/cancel").json()["outcome"] == "prevented"
    assert "called-off" not in {record["id"] for record in crm.get("/records").json()}
    crm.close()


@pytest.mark.parametrize("name", ["gateway", "status", "sync", "images"])
def test_a_killed_process_comes_back(stack: Stack, name: str) -> None:
    pid = stack.pids()[name]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: stack.pids().get(name) not in {pid, None}, f"{name} to be started again")
    eventually(lambda: _is_ready(stack), "the gateway to answer")
    stack.completed(stack.post_mail(f"after-{name}@example.com"))


def test_every_service_can_be_stopped_and_is_started_again(stack: Stack) -> None:
    before = stack.pids()
    accepted = [stack.post_mail(f"stop-{number}@example.com") for number in range(20)]
    os.kill(before["email"], signal.SIGTERM)
    for number, task_id in enumerate(accepted):
        stack.completed(task_id)
        assert len(stack.mails(f"stop-{number}@example.com")) == 1


def test_a_taken_port_is_named(stack: Stack, tmp_path: Path) -> None:
    taken = str(httpx.URL(stack.places()["gateway"]).port)
    second = subprocess.run(
        [sys.executable, "-m", "waybill_devstack", "up", "--gateway-port", taken],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert second.returncode == 1
    assert taken in second.stdout
    assert "--gateway-port" in second.stdout


def _is_ready(stack: Stack) -> bool:
    try:
        return stack.gateway.get("/readyz").is_success
    except httpx.TransportError:
        return False
