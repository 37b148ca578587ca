"""Resources of the machine: free ports, a lock among processes, forks, children that die with us."""

from waybill_testkit.machine.container_setting import in_containers
from waybill_testkit.machine.docker_engine import why_no_docker
from waybill_testkit.machine.forked import FORKS, ForkedProcess
from waybill_testkit.machine.lifeline import die_with_parent
from waybill_testkit.machine.one_at_a_time import one_at_a_time
from waybill_testkit.machine.ports import LOOPBACK, PortTakenError, free_ports, is_free, require_free

__all__ = [
    "FORKS",
    "LOOPBACK",
    "ForkedProcess",
    "PortTakenError",
    "die_with_parent",
    "free_ports",
    "in_containers",
    "is_free",
    "one_at_a_time",
    "require_free",
    "why_no_docker",
]
