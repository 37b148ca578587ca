"""compose.yaml held against the processes that there are and the settings that they have."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from waybill_contracts.registry import built_in_registry
from waybill_deploy.processes import processes_of
from waybill_devstack.stack.plan import OPS_ADDRESS, SHORT_WAITS
from waybill_gateway.settings import GatewaySettings
from waybill_images.settings import ImagesSettings
from waybill_worker.consume.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
OWN = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
PROCESSES = [process.name for process in processes_of(built_in_registry())]
#: What Docker takes as a path or an address before it is filled in.
SECRETS = "${WAYBILL_SECRETS:-./deploy/secrets}"


@pytest.mark.parametrize("name", PROCESSES)
def test_each_process_has_a_stanza_with_its_own_secrets_and_no_others(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["build"]["args"]["SERVICE"] == name
    mounts = [mount for mount in service["volumes"] if mount.startswith(SECRETS)]
    assert mounts == [f"{SECRETS}/{name}:/run/secrets:ro"]


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_restarted_and_has_time_to_stop(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["restart"] == "unless-stopped"
    seconds = int(service["stop_grace_period"].removesuffix("s"))
    assert seconds > ServiceSettings(inbox_url="sqlite:///x").stop_seconds
    assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("name", OWN)
def test_our_containers_can_do_nothing_but_their_work(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def mebibytes(text: str) -> int:
    amount, unit = re.fullmatch(r"(?:\$\{\w+:-)?(\d+)([mg])\}?", text).groups()  # type: ignore[union-attr] # it fails where it does not match
    return int(amount) * {"m": 1, "g": 1024}[unit]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_no_container_may_take_all_the_memory(name: str) -> None:
    assert mebibytes(COMPOSE["services"][name]["mem_limit"]) >= 512


def test_there_is_memory_for_all_looks_into_images_at_once() -> None:
    probes, each = (
        GatewaySettings.model_fields[name].default for name in ("image_probes", "image_probe_bytes")
    )
    gateway = mebibytes(COMPOSE["services"]["gateway"]["mem_limit"])

    assert gateway >= probes * each / 1024**2 + 512


def test_there_is_memory_for_all_renderers_at_once() -> None:
    images = COMPOSE["services"]["images"]
    workers = re.search(r"\d+", images["environment"]["WAYBILL_RENDER_WORKERS"])
    each = ImagesSettings.model_fields["render_bytes_per_worker"].default
    assert workers
    assert mebibytes(images["mem_limit"]) >= int(workers[0]) * each / 1024**2 + 512


def test_a_container_is_healthy_once_its_process_has_been_ready() -> None:
    (check,) = re.findall(
        r"^HEALTHCHECK .*\n +CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    assert "http://127.0.0.1:8000/startupz" in check
    overridden = {name for name, service in OWN.items() if "healthcheck" in service}
    assert overridden == {"waybill", "mailbox", "crm"}


def test_every_deployable_has_its_pins() -> None:
    for service in OWN.values():
        assert (ROOT / "requirements" / f"{service['build']['args']['SERVICE']}.txt").is_file()


def test_nothing_is_published_beyond_this_machine_unless_someone_says_so() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(re.match(r"^\$\{WAYBILL_\w+_ADDRESS:-127\.0\.0\.1:\d+\}:\d+$", port) for port in ports)


def test_there_is_no_secret_in_it() -> None:
    assert not re.search(r"(password|secret|token|key)[\"']?\s*[:=]\s*[\"']?\w", TEXT, re.IGNORECASE)


def test_every_variable_is_explained() -> None:
    example = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"\$\{(\w+)", TEXT)) | set(
        re.findall(r"^ +((?:WAYBILL|OTEL)_\w+):$", TEXT, re.MULTILINE)
    )
    explained = set(re.findall(r"^#?(\w+)=", example, re.MULTILINE))
    assert named - explained == set()
    assert explained - named - {"COMPOSE_PROFILES", "PIP_INDEX_URL"} == set()


def test_the_demo_waits_as_shortly_as_the_local_stack() -> None:
    lines = (ROOT / "deploy" / "demo.env").read_text().splitlines()
    demo = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    # How long a stop may take is the installation's own: there it depends on proxies and on the engine.
    of_stopping = {"WAYBILL_GRACE_SECONDS", "WAYBILL_DRAIN_SECONDS"}
    assert demo == {name: value for name, value in SHORT_WAITS.items() if name not in of_stopping} | {
        "COMPOSE_PROFILES": "demo",
        "WAYBILL_GATEWAY_AUTH": "open",
        "WAYBILL_GATEWAY_OPEN_TO_ANYONE": "true",
        "WAYBILL_OPS_ADDRESS": OPS_ADDRESS,
    }


@pytest.mark.parametrize(
    "pyproject",
    [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")],
    ids=lambda at: at.parent.name,
)
def test_an_image_is_built_from_each_file_that_its_wheels_need(pyproject: Path) -> None:
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    project = tomllib.loads(pyproject.read_text())["project"]
    folder = "services/*" if pyproject.parent.parent.name == "services" else "*"
    needed = ["pyproject.toml", "src", project["readme"], *project["license-files"]]
    # A member's licence is a link to the one of the whole.
    assert {"!LICENSE", *(f"!{folder}/{name}" for name in needed)} <= set(sent)
