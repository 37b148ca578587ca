"""Types of what callers send, each limit stated once.

Bodies say exactly what they mean: `true` is no number, "60" neither, and "yes" is no truth value. Addresses
and forms hold only text, so numbers are read from it there.
"""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

#: PostgreSQL's text holds no NUL, so none can be kept there or searched for. Half of a surrogate pair is
#: refused by the type itself, for which text is Unicode.
NO_NUL: Final = r"^[^\x00]*$"
#: As large as the databases' integers.
MAX_INTEGER: Final = 2**63 - 1
#: Tasks on one page unless asked for otherwise, and at the most.
PAGE_SIZE, MAX_PAGE_SIZE = 50, 500

#: Any text that can be kept and searched for.
Text = Annotated[str, StringConstraints(pattern=NO_NUL)]
#: A name that a listing is filtered by.
Word = Annotated[Text, Field(min_length=1, max_length=255)]
#: What a listing looks for in texts.
Search = Annotated[Text, Field(min_length=1, max_length=200)]
#: The beginning of an id, by which a listing finds the one that somebody means.
Beginning = Annotated[str, Field(pattern=r"^[0-9A-Fa-f-]{1,36}$")]
#: Numbers and truth values of JSON bodies.
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Truth = Annotated[bool, Field(strict=True)]
