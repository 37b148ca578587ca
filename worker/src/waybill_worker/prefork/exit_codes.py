"""Exit codes of our processes that a parent, or a supervisor, decides by."""

from typing import Final

#: sysexits.h EX_SOFTWARE: a supervisor starts the process again.
EXIT_BROKEN: Final = 70
#: sysexits.h EX_CONFIG: starting again helps only after people have corrected something.
EXIT_MISCONFIGURED: Final = 78
