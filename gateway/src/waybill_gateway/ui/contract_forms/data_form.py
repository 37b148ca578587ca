"""One form of data: filled in from values or from what was sent, with what is wrong at each field. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from waybill_contracts.registry import Contract
from waybill_gateway.http import FieldError
from waybill_gateway.ui.contract_forms.fields import (
    PREFIX,
    Field,
    fields_of,
    is_hidden,
    shapes_of,
    shown,
)
from waybill_gateway.ui.contract_forms.reading import WHOLE
from waybill_gateway.ui.frame import formats

#: Fields above which the data is written as one JSON text.
MOST_FIELDS: Final = 100


@dataclass(frozen=True, slots=True)
class DataForm:
    """The form of the data of one contract."""

    contract: Contract
    fields: Sequence[Field]
    #: All data as one JSON text, instead of fields; None: it has fields.
    whole: str | None
    #: What is wrong with no field of it: place and words.
    faults: Sequence[FieldError] = ()

    @property
    def has_hidden(self) -> bool:
        """Whether a field may hold what others must not see."""
        return any("secret" in field.marks for field in self.fields)


def form_of(
    contract: Contract,
    *,
    values: Mapping[str, Any] | None = None,
    sent: Mapping[str, str] | None = None,
    errors: Iterable[FieldError] = (),
    as_json: bool = False,
    keeps_hidden: bool = False,
) -> DataForm:
    """A form of data by its contract.

    Args:
        contract: of the data.
        values: data that the fields show at first; hidden values are left empty.
        sent: the form as a browser sent it; is shown again, instead of `values`.
        errors: what is wrong with what was sent.
        as_json: whether all is one JSON text.
        keeps_hidden: whether a hidden value stays if nothing is written in its field.
    """
    values = values or {}
    by_name, others = faults_of(errors)
    if as_json or (sent is not None and WHOLE in sent) or len(contract.fields) > MOST_FIELDS:
        text = sent.get(WHOLE, "") if sent is not None else _whole_text(values)
        return DataForm(contract, (), text, tuple(errors))
    if sent is not None:
        texts = {name.removeprefix(PREFIX): text for name, text in sent.items() if name.startswith(PREFIX)}
    else:
        texts = {name: shown(values.get(name), shape) for name, _, shape in shapes_of(contract)}
    hidden = {name for name, value in values.items() if is_hidden(value)} if keeps_hidden else set()
    fields = fields_of(contract, texts, by_name, frozenset(hidden))
    unknown = [
        FieldError(field=name, message=message)
        for name, messages in by_name.items()
        if name not in contract.fields
        for message in messages
    ]
    return DataForm(contract, fields, None, (*others, *unknown))


def faults_of(errors: Iterable[FieldError]) -> tuple[dict[str, list[str]], list[FieldError]]:
    """What is wrong, by the field of the data in which it is; and what is in none."""
    by_name: dict[str, list[str]] = defaultdict(list)
    others = []
    for error in errors:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in error.field.split("/")]
        if parts[:2] != ["", "data"] or len(parts) < 3:  # noqa: PLR2004 - nothing, data, name
            others.append(error)
            continue
        within = "/".join(parts[3:])
        by_name[parts[2]].append(f"{within}: {error.message}" if within else error.message)
    return by_name, others


def _whole_text(values: Mapping[str, Any]) -> str:
    known = {name: value for name, value in values.items() if not is_hidden(value)}
    return formats.exact_json(known)
