"""Upcasters convert the payload of an older version of an event to the next version.

When the `VERSION` of an event rises from n to n+1, add an entry `(kind, n)` here, and keep its golden schema
and example of version n: a test reads each released example through these functions. They are pure, and keep
fields that they do not know.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

#: Converts a payload of one version to the next.
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
#: By kind and the version that is converted.
Upcasters = Mapping[tuple[str, int], Upcaster]

UPCASTERS: Final[Upcasters] = {}
