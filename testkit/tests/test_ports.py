import socket
from collections.abc import Iterator

import pytest

from waybill_testkit.machine.ports import HIGHEST, LOWEST, PortTakenError, free_ports, is_free, require_free


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        yield port


def test_chooses_different_ports_that_can_be_bound_at_once() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    servers = [socket.create_server(("127.0.0.1", port)) for port in ports]
    for server in servers:
        server.close()


def test_chooses_below_the_range_of_outgoing_connections() -> None:
    assert all(LOWEST <= port <= HIGHEST < 32_768 for port in free_ports(5))


def test_a_port_that_something_listens_on_is_not_free(taken_port: int) -> None:
    assert not is_free(taken_port)


def test_names_every_port_that_cannot_be_had_and_the_way_out(taken_port: int) -> None:
    free = free_ports(1)[0]
    with pytest.raises(PortTakenError) as raised:
        require_free(
            {
                "gateway": (taken_port, "--gateway-port"),
                "crm": (free, "--crm-port"),
                "mailbox": (free, "--mailbox-port"),
            }
        )
    first, second = str(raised.value).splitlines()
    assert str(taken_port) in first
    assert "gateway" in first
    assert "--gateway-port" in first
    assert str(free) in second
    assert "crm and by mailbox" in second


def test_free_ports_pass() -> None:
    one, other = free_ports(2)
    require_free({"gateway": (one, "--gateway-port"), "crm": (other, "--crm-port")})
