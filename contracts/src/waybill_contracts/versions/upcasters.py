"""Upcasters: bring the payload of an older version of an event up to the next one.

When an event's `VERSION` rises from n to n+1, an entry `(kind, n)` comes here, and its golden schema and its
example of version n stay where they are: a test reads each released example through these functions. They
are pure, and keep what they do not know.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

#: A payload of one version into one of the next.
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
#: By kind and the version that is brought up.
Upcasters = Mapping[tuple[str, int], Upcaster]

UPCASTERS: Final[Upcasters] = {}
