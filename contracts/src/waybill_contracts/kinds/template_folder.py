"""The mail templates of an installation's own: a folder of files that names them and their parameters.

Beside the files of a template lies `<name>.params.json`, an object of parameters and their types:

    {"name": "line", "total": "number", "paid_at": "time?", "items": [{"what": "line", "count": "number"}]}
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, Field, PlainValidator, create_model

from waybill_contracts.kinds.fields import Link, PersonName
from waybill_contracts.kinds.mail_templates import TEMPLATE_PARAMS, ShownText, TemplateParams

PARAMS_SUFFIX: Final = ".params.json"
#: Of a template, and of a record in a list; a payload has no more parameters either.
MAX_PARAMS: Final = 50
#: Of a list in one mail.
MAX_ITEMS: Final = 200
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PARAM: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
#: Names that mean something else in a template.
_RESERVED: Final = frozenset({"subject", "loop", "self", "super", "caller", "varargs", "kwargs"})


def _number(value: Any) -> int | float:
    # Not by a union of both: its errors would name the field twice, as `total.int` and `total.float`.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number is expected")  # noqa: TRY004 - pydantic takes no TypeError for a finding
    return value


_TYPES: Final[Mapping[str, Any]] = {
    "line": PersonName,
    "text": ShownText,
    "number": Annotated[int | float, PlainValidator(_number)],
    "boolean": bool,
    "link": Link,
    "time": AwareDatetime,
}


class TemplateFolderError(ValueError):
    """A file of the folder of templates is wrong; the message names the file and, if it can, the line."""

    def __init__(self, file: Path | str, line: int | None, words: str) -> None:
        where = str(file) if line is None else f"{file}, line {line}"
        super().__init__(f"{where}: {words}")


def read_template_params(folder: Path | None) -> Mapping[str, type[TemplateParams]]:
    """The templates that a folder has beside those of Waybill, and what each of them is given; None: none.

    Raises:
        TemplateFolderError: it is no folder, or one of its `.params.json` is wrong.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise TemplateFolderError(folder, None, "is no folder with templates")
    return {
        file.name.removesuffix(PARAMS_SUFFIX): _params_of(file)
        for file in sorted(folder.glob(f"*{PARAMS_SUFFIX}"))
    }


def _params_of(file: Path) -> type[TemplateParams]:
    name = file.name.removesuffix(PARAMS_SUFFIX)
    if name in TEMPLATE_PARAMS:
        raise TemplateFolderError(file, None, f"the parameters of {name} are Waybill's: remove this file")
    if not _NAME.fullmatch(name) or name == "layout":
        raise TemplateFolderError(
            file, None, "a template is named by small letters, digits, _ and -, and not layout"
        )
    text = _read(file)
    try:
        stated = json.loads(text, object_pairs_hook=lambda pairs: _no_name_twice(file, text, pairs))
    except json.JSONDecodeError as error:
        raise TemplateFolderError(file, error.lineno, f"is no JSON: {error.msg}") from None
    return _model(file, text, name, stated)


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateFolderError(file, None, f"cannot be read: {error}") from None


def _no_name_twice(file: Path, text: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise TemplateFolderError(file, _line_of(text, name), f"the parameter {name} is named twice")
    return dict(pairs)


def _model(file: Path, text: str, name: str, stated: Any) -> type[TemplateParams]:
    if not isinstance(stated, dict) or len(stated) > MAX_PARAMS:
        raise TemplateFolderError(
            file, None, f'an object of at most {MAX_PARAMS} parameters is expected: {{"name": "line"}}'
        )
    fields: dict[str, Any] = {}
    for number, (param, type_) in enumerate(stated.items()):
        line = _line_of(text, param)
        if not _PARAM.fullmatch(param) or param in _RESERVED:
            raise TemplateFolderError(file, line, f"{param} cannot be the name of a parameter")
        # By an alias: a model has attributes of its own, whose names a parameter may have.
        fields[f"p{number}"] = _field(file, text, param, type_)
    return create_model(name, __base__=TemplateParams, **fields)


def _field(file: Path, text: str, param: str, type_: Any) -> tuple[Any, Any]:
    match type_:
        case str() if (of_type := _TYPES.get(type_.removesuffix("?"))) is not None:
            if type_.endswith("?"):
                return of_type | None, Field(None, alias=param)
            return of_type, Field(alias=param)
        case [dict() as record]:
            items: Any = tuple
            item = _model(file, text, param, record)
            return items[item, ...], Field(alias=param, max_length=MAX_ITEMS)
    known = ", ".join(_TYPES)
    raise TemplateFolderError(
        file,
        _line_of(text, param),
        f"{param} is one of {known}, with a ? if it may be left out, or a list with one object of such",
    )


def _line_of(text: str, name: str) -> int:
    return text[: max(text.find(json.dumps(name)), 0)].count("\n") + 1
