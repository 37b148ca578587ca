"""Words that every server and library uses: a value that is one of them identifies no person.

A person may be called Kept, or the subject of a mail may be `Message`. Hiding these words would make the
answers of servers useless, and showing them reveals nothing. The list has only words from usual answers of
mail and HTTP servers, JSON, and tracebacks of Python, and none that is also a usual name (Will, Mark, Grant).
"""

import keyword
from typing import Final

_SAID: Final = """
accept accepted account action active added address addresses after again allowed already another answer
answered argument arguments attempt attempts authentication available back backend because been before
begin being blocked body bounce busy cannot certificate channel client close closed closing code command
complete completed conflict connect connected connection content could created data database deadline
deferred delayed delivered delivery denied destination detail disabled disconnected domain done duplicate
during email empty encoding end ended entity error errors exceeded exist exists expected expired failed
failure false field fields file files final forbidden format found from full gateway gone greylisted
greylisting handler have header headers host http https image images inbound input internal invalid item
items json kept later length limit limited line lines local login lookup mail mailbox mails malformed many
mapped media message messages method missing mode module more moved must name needed network none null
number object offline only open operation other outbound over overloaded parameter parameters parse
password path payload pending permanent permission please policy port problem processed processing
protocol queue queued quota rate ready received recipient recipients record records redirect refused
rejected relay remote repeat request requested requests required reset resource response result retry
retrying route running save saved script sender sending sent sequence server servers service setting size
smtp soon source started starttls state status storage store stored string subject success successful
supported sync syntax system target task tasks temporarily temporary text than that this time timed
timeout title token took traceback transaction transient type types unable unauthorized unavailable
unexpected unknown unprocessable unreachable unsupported update updated upstream user users valid value
values version waiting warning while with without word words written wrong your
"""
#: In lower case.
PROTOCOL_WORDS: Final = frozenset(_SAID.split()) | frozenset(map(str.lower, keyword.kwlist))
