"""Names of the team's services and kinds, and how many tasks are spawned."""

from typing import Final

#: The service that owns the kinds, and the one that is registered while they are in use.
OWNER: Final = "orders"
AUDITORS: Final = "auditors"
#: The kinds: one that spawns others, one that both services handle, and one whose attempts are long.
PLACED: Final = "order.placed"
PACKED: Final = "order.packed"
COUNTED: Final = "order.counted"
#: Tasks that a task of the first kind spawns.
CHILDREN: Final = 2
#: Environment variable with the name under which the second service registers itself.
NAME_VARIABLE: Final = "CRASH_AUDITORS"
