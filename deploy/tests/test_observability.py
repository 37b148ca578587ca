"""Alerts, their runbook and the dashboard, held against each other and against the metrics that there are."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from prometheus_client import CollectorRegistry

from waybill_contracts.registry import built_in_registry
from waybill_deploy.processes import CORE
from waybill_gateway.http.metrics import GatewayMetrics
from waybill_gateway.registry import target_routes
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_worker.attempt.metrics import AttemptMetrics
from waybill_worker.observe.metrics import make_registry

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/dashboards/waybill.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
#: What Prometheus itself and the broker's plugin tell.
OTHERS = {"up", "rabbitmq_alarms_memory_used_watermark", "rabbitmq_alarms_free_disk_space_watermark"}


#: What becomes of a metric's name where it is exported, by its type.
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def metric_names() -> set[str]:
    registries = [make_registry(), CollectorRegistry()]
    AttemptMetrics("email", registries[0], ("email.requested",))
    StatusMetrics(registries[0])
    GatewayMetrics(registries[1])
    families = [family for registry in registries for family in registry.collect()]
    return {f"{family.name}{suffix}" for family in families for suffix in SUFFIXES.get(family.type, ())}


def asked_for(query: str) -> set[str]:
    """The metrics that a query names."""
    return set(re.findall(r"\b(?:waybill|process|rabbitmq)_\w+|\bup(?=\{)", query))


@pytest.mark.parametrize(
    "query", [rule["expr"] for rule in RULES] + QUERIES, ids=lambda query: " ".join(query.split())[:60]
)
def test_a_query_asks_for_metrics_that_there_are(query: str) -> None:
    asked = asked_for(query)
    assert asked
    assert asked - metric_names() - OTHERS == set()


@pytest.mark.parametrize(
    "mistaken",
    [
        "max(waybill_outbox_lag_seconds_total)",  # it is a gauge
        "sum(waybill_attempts) > 0",  # a counter's name ends with _total
        "sum(rate(waybill_pickup_seconds[5m]))",  # a histogram has parts
        'absent(process_started{job="waybill"})',
    ],
)
def test_a_metric_that_nobody_exports_would_be_found(mistaken: str) -> None:
    assert asked_for(mistaken) - metric_names() - OTHERS


def test_each_alert_has_its_section_of_the_runbook_and_no_section_is_left_over() -> None:
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert sections == [rule["alert"] for rule in RULES]


def test_each_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_what_is_always_there_is_scraped_and_missed_when_it_is_not_there() -> None:
    (job,) = (
        job
        for job in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
        if "dns_sd_configs" in job
    )
    (scraped,) = (discovery["names"] for discovery in job["dns_sd_configs"])
    processes = {process.name for process in CORE}
    assert set(scraped) == processes
    (down,) = (rule["expr"] for rule in RULES if rule["alert"] == "ProcessDown")
    for query in (down, *(query for query in QUERIES if "absent(" in query)):
        assert set(re.findall(r'absent\(up\{job="waybill", process="(\w+)"\}\)', query)) == processes


def test_services_are_scraped_where_the_gateway_says() -> None:
    jobs = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    (discovery,) = (each for job in jobs for each in job.get("http_sd_configs", []))
    path = urlsplit(discovery["url"]).path
    assert path in {getattr(route, "path", None) for route in target_routes.router.routes}


def test_what_watches_services_names_none_of_them() -> None:
    queries = [*QUERIES, *(rule["expr"] for rule in RULES), (PROMETHEUS / "prometheus.yml").read_text()]
    services = "|".join(built_in_registry().services)
    assert [found for text in queries for found in re.findall(rf"\b({services})\b", text)] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "--syntax-only", "prometheus.yml"),  # the file of its key is in the container
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=" ".join,
)
def test_prometheus_own_tool_agrees_and_the_alerts_fire(arguments: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool: apt-get install prometheus brings it")
    ran = subprocess.run([promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_alert_is_tried() -> None:
    tried = (PROMETHEUS / "alerts_test.yml").read_text()
    assert [rule["alert"] for rule in RULES if rule["alert"] not in tried] == []
