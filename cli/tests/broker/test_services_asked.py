"""Commands at the broker ask the gateway which services there are."""

import pytest
from command_under_test import NOWHERE, ran_apart


@pytest.mark.parametrize(("command", "rest"), [(("queues", "--amqp"), ()), (("dlq", "--direct"), ("ls",))])
async def test_without_a_gateway_the_services_have_to_be_named(
    topology_url: str, command: tuple[str, ...], rest: tuple[str, ...]
) -> None:
    done = await ran_apart(*command, topology_url, *rest, "--url", NOWHERE)
    assert done.code == 3
    assert "--service NAME" in done.err
