"""The setting that has tests take their servers from Docker."""

import os

#: Set to 1, brokers and databases come from Docker (RabbitMQ 4, PostgreSQL 17), whatever is installed.
IN_CONTAINERS = "WAYBILL_TEST_CONTAINERS"


def in_containers() -> bool:
    """Whether the tests are to take their servers from Docker."""
    return os.environ.get(IN_CONTAINERS, "") == "1"
