"""Mail templates of an installation: a folder of files that declares them and their parameters.

Next to the files of a template is `<name>.params.json`, an object of parameter names and types:

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
#: Of a template, and of an object in a list; as many as a payload may have.
MAX_PARAMS: Final = 50
#: Of a list in a mail.
MAX_ITEMS: Final = 200
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PARAM: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
#: Names with another meaning in a template.
_RESERVED: Final = frozenset({"subject", "loop", "self", "super", "caller", "varargs", "kwargs"})


def _number(value: Any) -> int | float:
    # A union of both types would name the field twice in errors, as `total.int` and `total.float`.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number is expected")  # noqa: TRY004 - pydantic only turns a ValueError into a validation error
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
    """A file in the template folder is invalid; the message names the file and, if known, the line."""

    def __init__(self, file: Path | str, line: int | None, message: str) -> None:
        where = str(file) if line is None else f"{file}, line {line}"
        super().__init__(f"{where}: {message}")


def read_template_params(folder: Path | None) -> Mapping[str, type[TemplateParams]]:
    """Returns name -> parameters of the templates in a folder; empty if the folder is None.

    Raises:
        TemplateFolderError: it is not a folder, or one of its `.params.json` is invalid.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise TemplateFolderError(folder, None, "is not a folder")
    return {
        file.name.removesuffix(PARAMS_SUFFIX): _params_of(file)
        for file in sorted(folder.glob(f"*{PARAMS_SUFFIX}"))
    }


def _params_of(file: Path) -> type[TemplateParams]:
    name = file.name.removesuffix(PARAMS_SUFFIX)
    if name in TEMPLATE_PARAMS:
        raise TemplateFolderError(
            file, None, f"the parameters of {name} are defined by Waybill: remove this file"
        )
    if not _NAME.fullmatch(name) or name == "layout":
        raise TemplateFolderError(
            file, None, "a template name has only small letters, digits, _ and -, and is not layout"
        )
    text = _read(file)
    try:
        stated = json.loads(text, object_pairs_hook=lambda pairs: _no_name_twice(file, text, pairs))
    except json.JSONDecodeError as error:
        raise TemplateFolderError(file, error.lineno, f"is not JSON: {error.msg}") from None
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
            raise TemplateFolderError(file, line, f"{param} cannot be a parameter name")
        # An alias, as the name of a parameter may be that of an attribute of every model.
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
        f"{param} must be one of {known}, with a ? if optional, or a list with one object of these",
    )


def _line_of(text: str, name: str) -> int:
    return text[: max(text.find(json.dumps(name)), 0)].count("\n") + 1
