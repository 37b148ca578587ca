"""Finding and installing a broker, with programs that stand in for apt-get and rabbitmq-server."""

from pathlib import Path

import pytest

from waybill_testkit.broker import BrokerError, private_broker
from waybill_testkit.broker.installation import find_server, install_server
from waybill_testkit.machine.ports import free_ports


def program(path: Path, script: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_prefers_the_server_itself_to_whatever_is_in_path(tmp_path: Path) -> None:
    server = program(tmp_path / "usr/lib/rabbitmq/bin/rabbitmq-server")
    other = program(tmp_path / "elsewhere/rabbitmq-server")
    assert find_server(str(other.parent), root=tmp_path) == server


def test_finds_versioned_and_homebrew_places_and_path(tmp_path: Path) -> None:
    other = program(tmp_path / "elsewhere/rabbitmq-server")
    assert find_server(str(other.parent), root=tmp_path) == other
    brewed = program(tmp_path / "opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server")
    assert find_server(str(other.parent), root=tmp_path) == brewed
    program(tmp_path / "usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8/sbin/rabbitmq-server")
    newer = program(tmp_path / "usr/lib/rabbitmq/lib/rabbitmq_server-3.12.1/sbin/rabbitmq-server")
    assert find_server(str(other.parent), root=tmp_path) == newer


def test_passes_over_files_that_cannot_run_and_distributions_wrappers(tmp_path: Path) -> None:
    program(tmp_path / "usr/lib/rabbitmq/bin/rabbitmq-server").chmod(0o644)
    assert find_server("/usr/sbin:/sbin", root=tmp_path) is None
    assert find_server("", root=tmp_path) is None


def test_no_service_may_start_while_the_package_is_installed(tmp_path: Path) -> None:
    policy, seen = tmp_path / "policy-rc.d", tmp_path / "seen"
    apt = program(tmp_path / "apt-get", f'"{policy}"; echo "$? $DEBIAN_FRONTEND $*" > "{seen}"')
    install_server(str(apt), [], policy)
    assert seen.read_text() == "101 noninteractive -q -y --no-install-recommends install rabbitmq-server\n"
    assert not policy.exists()


def test_a_policy_that_was_there_is_left_alone(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("theirs")
    install_server(str(program(tmp_path / "apt-get")), [], policy)
    assert policy.read_text() == "theirs"


def test_updates_the_lists_and_tries_again(tmp_path: Path) -> None:
    calls, updated = tmp_path / "calls", tmp_path / "updated"
    script = f"""
        echo "$3" >> "{calls}"
        case "$*" in *update*) touch "{updated}" ;; *) test -e "{updated}" ;; esac
    """
    install_server(str(program(tmp_path / "apt-get", script)), [], tmp_path / "policy-rc.d")
    assert calls.read_text().split() == ["--no-install-recommends", "update", "--no-install-recommends"]


def test_says_what_the_package_manager_said_and_cleans_up(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    apt = program(tmp_path / "apt-get", "echo E: no such package; exit 100")
    with pytest.raises(BrokerError, match="E: no such package"):
        install_server(str(apt), [], policy)
    assert not policy.exists()


def test_names_every_way_out_where_there_is_no_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waybill_testkit.broker.private.find_server", {}.get)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(BrokerError) as raised, private_broker(tmp_path, may_install=False):
        pass
    message = str(raised.value)
    for way in ("apt-get install rabbitmq-server", "brew install rabbitmq", "start Docker", "AMQP_URL="):
        assert way in message
    assert "Docker does not answer" in message


def test_a_given_broker_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(BrokerError, match=r"AMQP_URL names 127.0.0.1:1,.*unset AMQP_URL"),
        private_broker(tmp_path, amqp_url="amqp://guest:secret@127.0.0.1:1/") as broker,
    ):
        pytest.fail(f"started {broker.how}")
