"""compose.yaml for real: built, brought up, toured, scaled, hurt and upgraded while work flows, taken down.

The tests are one story and stand in its order. They need Docker: `make test-compose`.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.compose.installation import ROOT, VERSION, environment, installed
from tests.compose.posting import Caller
from waybill_contracts.registry import built_in_registry
from waybill_deploy.processes import processes_of
from waybill_devstack.tour.backstage import ContainersBackstage
from waybill_devstack.tour.compose import Compose, ComposeError

PROCESSES = processes_of(built_in_registry())
REPLICAS = 3
#: What the images are called that processes are upgraded to.
NEXT_VERSION = f"{VERSION}-next"
#: Tasks that are accepted before and after each blow.
BETWEEN = 40


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="module")
def compose(settings: dict[str, str]) -> Iterator[Compose]:
    with installed(settings) as running:
        yield running
    for kind in ("container", "volume", "network"):
        made = ("--filter", f"label=com.docker.compose.project={settings['COMPOSE_PROJECT_NAME']}")
        assert docker(kind, "ls", "--quiet", *made).stdout == "", f"a {kind} was left behind"


def key_of(settings: dict[str, str], owner: str) -> str:
    return (Path(settings["WAYBILL_SECRETS"]) / owner / "waybill_api_key").read_text().strip()


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", [process.name for process in PROCESSES])
def test_an_image_holds_all_that_its_process_imports_and_runs_as_nobody(compose: Compose, name: str) -> None:
    del compose  # built by it
    module = f"waybill_{name}"
    code = f"import os, {module}.app, {module}.__main__; print(os.getuid())"
    confined = ("--rm", "--network", "none", "--read-only", "--cap-drop", "ALL")
    ran = docker("run", *confined, f"waybill-{name}:{VERSION}", "python", "-c", code)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.strip() == "10001"
    others = {f"waybill_{process.name}" for process in PROCESSES} | {"waybill_devstack"}
    listed = docker(
        "run", *confined, f"waybill-{name}:{VERSION}", "sh", "-c", "ls /app/lib/python3*/site-packages"
    )
    assert set(listed.stdout.split()) & (others - {module}) == set()


def test_everything_runs_and_is_well(compose: Compose) -> None:
    states = {c["Service"]: c for c in map(json.loads, compose.run("ps", "--format", "json").splitlines())}
    assert {process.name for process in PROCESSES} <= states.keys()
    assert {name: c["Health"] for name, c in states.items() if c["Health"] != "healthy"} == {}
    ready = httpx.get(f"{compose.address('gateway', 8000)}/readyz", trust_env=False)
    assert (ready.status_code, ready.json()["broker"]) == (200, True)


def test_who_has_no_key_is_asked_for_one_and_prometheus_has_its_own(
    settings: dict[str, str], compose: Compose
) -> None:
    gateway = compose.address("gateway", 8000)
    tried: dict[str, dict[str, str]] = {"nobody": {}} | {
        owner: {"Authorization": f"Bearer {key_of(settings, owner)}"} for owner in ("operator", "prometheus")
    }
    answers = {
        (who, path): httpx.get(f"{gateway}{path}", headers=headers, trust_env=False).status_code
        for who, headers in tried.items()
        for path in ("/v1/tasks", "/metrics")
    }
    assert answers == {
        ("nobody", "/v1/tasks"): 401,
        ("nobody", "/metrics"): 401,
        ("operator", "/v1/tasks"): 200,
        ("operator", "/metrics"): 200,
        ("prometheus", "/v1/tasks"): 403,
        ("prometheus", "/metrics"): 200,
    }


def test_an_operator_needs_nothing_but_docker(compose: Compose) -> None:
    assert "balanced" in compose.run("run", "--rm", "-T", "waybill", "accounting", "--json")


def test_compose_waits_for_work_and_not_only_for_life(settings: dict[str, str], compose: Compose) -> None:
    url = Path(settings["WAYBILL_SECRETS"]) / "email" / "waybill_amqp_url"
    right = url.read_text()
    again = ("up", "--detach", "--wait", "--force-recreate", "--no-deps")
    try:
        url.write_text(re.sub(r"(//email):[^@]+", r"\1:wrong", right))
        with pytest.raises(ComposeError):
            compose.run(*again, "--wait-timeout", "20", "email")
        lines = map(json.loads, docker("logs", compose.container("email")).stdout.splitlines())
        [said] = [line for line in lines if line["level"] == "critical"]
        assert "user or password are wrong" in said["reason"]
    finally:
        url.write_text(right)
        compose.run(*again, "email")


def test_the_tour_is_right(settings: dict[str, str], compose: Compose) -> None:
    del compose
    toured = subprocess.run(
        [sys.executable, "-m", "waybill_devstack", "tour"],
        cwd=ROOT,
        env=settings | {"WAYBILL_API_KEY": key_of(settings, "operator")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert toured.returncode == 0, toured.stdout[-5000:] + toured.stderr[-2000:]
    assert "All of it was right." in toured.stdout


async def test_nothing_is_lost_by_scaling_a_crash_and_upgrades(
    settings: dict[str, str], compose: Compose
) -> None:
    caller = Caller(compose.address("gateway", 8000), key_of(settings, "operator"))
    with caller.at_work():
        caller.until_accepted(BETWEEN)
        compose.run(
            "up", "--detach", "--wait", "--no-recreate", "--no-deps", "--scale", f"email={REPLICAS}", "email"
        )
        listed = compose.run(
            "exec", "-T", "rabbitmq", "rabbitmqctl", "-q", "list_queues", "name", "consumers"
        )
        assert f"email.work\t{REPLICAS}" in listed
        caller.until_accepted(BETWEEN)
        await ContainersBackstage(compose).kill("email")
        caller.until_accepted(BETWEEN)
        for process in ("sync", "status", "gateway"):
            upgraded = Compose(ROOT, settings | {"WAYBILL_VERSION": NEXT_VERSION})
            assert (
                docker("tag", f"waybill-{process}:{VERSION}", f"waybill-{process}:{NEXT_VERSION}").returncode
                == 0
            )
            upgraded.run("up", "--detach", "--wait", "--no-deps", process)
            assert _image_of(compose, process) == f"waybill-{process}:{NEXT_VERSION}"
            caller.until_accepted(BETWEEN)
    accepted = len(caller.mails) + len(caller.records)
    assert caller.refused == []
    assert caller.outcomes() == {"completed": accepted}
    _assert_each_has_had_its_effect(compose, caller)


def _image_of(compose: Compose, service: str) -> str:
    return docker("inspect", "--format", "{{.Config.Image}}", compose.container(service)).stdout.strip()


def _assert_each_has_had_its_effect(compose: Compose, caller: Caller) -> None:
    mails = httpx.get(f"{compose.address('mailbox', 8000)}/api/messages", trust_env=False).json()
    arrived = Counter(mail["to"][0] for mail in mails if caller.mark in mail["to"][0])
    assert arrived.keys() == caller.mails.keys()
    # A kill between a mail's DATA and its record is unknowable: the repeat bears the same Message-ID.
    ids = {mail["to"][0]: mail["message_id"] for mail in mails if caller.mark in mail["to"][0]}
    assert len(set(ids.values())) == len(caller.mails)
    records = httpx.get(f"{compose.address('crm', 8000)}/records", trust_env=False).json()
    assert {record["id"] for record in records if caller.mark in record["id"]} == caller.records.keys()
