"""Renders mail templates: subject, text and HTML of a mail."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    Template,
    TemplateError,
    select_autoescape,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import ValidationError

from waybill_contracts.kinds import TEMPLATE_PARAMS, TemplateFolderError, TemplateParams, read_template_params
from waybill_email.template_checks import SUBJECT_SUFFIX, check_files, check_template
from waybill_worker.errors import PermanentError

#: Errors of a template with valid parameters: they would occur again.
_WRONG_IN_TEMPLATE: Final = (
    TemplateError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
)

#: Not allowed in a mail. Errors of other systems may contain them, and an alert about one must be sent.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """The content of a mail: a subject of one line, and a body as plain text, as HTML or both."""

    subject: str
    text: str | None
    html: str | None


@dataclass(frozen=True, slots=True)
class _CompiledTemplate:
    subject: Template
    text: Template | None
    html: Template | None


class Renderer:
    """Renders mail templates, which are read, checked and compiled once.

    Parameters are data: they are validated by the contract, inserted by value, and escaped in HTML.

    Args:
        folder: templates of the installation, which precede those of this package.

    Raises:
        TemplateFolderError: a template is invalid; the message names file and line.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._params: Mapping[str, type[TemplateParams]] = {**TEMPLATE_PARAMS, **read_template_params(folder)}
        environment = _environment(folder)
        if folder is not None:
            check_files(folder, self._params.keys())
        self._templates = {
            name: _compiled(
                environment, name, {field.alias or of for of, field in params.model_fields.items()}
            )
            for name, params in self._params.items()
        }

    def render(self, template: str, params: Mapping[str, Any]) -> RenderedMail:
        """Render one mail.

        Args:
            template: `welcome`, `password_reset`, `ops_alert`, `ops_digest`, or one of the folder.
            params: what `waybill_contracts.kinds.mail_templates` or its `.params.json` lists for it; times as
                aware `datetime` or ISO 8601 text.

        Raises:
            PermanentError: unknown template; or a parameter is missing, unknown or malformed, and is named.
        """
        compiled = self._templates.get(template)
        if compiled is None:
            known = ", ".join(sorted(self._templates))
            raise PermanentError(f"there is no mail template {template!r:.100}: choose one of {known}")
        values = _checked(template, self._params[template], params)
        try:
            subject = _one_line(compiled.subject.render(values))
            values["subject"] = subject
            return RenderedMail(
                subject,
                compiled.text.render(values) if compiled.text else None,
                compiled.html.render(values) if compiled.html else None,
            )
        except _WRONG_IN_TEMPLATE as error:
            raise PermanentError(f"the mail template {template} cannot be rendered: {error}") from error


def _environment(folder: Path | None) -> Environment:
    ours = PackageLoader("waybill_email", "templates")
    # In a sandbox: a template can use its parameters, but nothing else of the process.
    environment = ImmutableSandboxedEnvironment(
        loader=ours if folder is None else ChoiceLoader([FileSystemLoader(folder), ours]),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        # Otherwise each rendering checks whether a file has changed.
        auto_reload=False,
        cache_size=-1,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["utc"] = _utc
    environment.filters["one_line"] = _one_line
    return environment


def _compiled(environment: Environment, name: str, known: AbstractSet[str]) -> _CompiledTemplate:
    files = environment.list_templates()
    subject, text, html = (f"{name}{suffix}" for suffix in (SUBJECT_SUFFIX, ".txt", ".html"))
    if subject not in files or not {text, html} & set(files):
        missing = subject if subject not in files else f"{text} or {html}"
        raise TemplateFolderError(missing, None, f"is missing: the template {name} needs it")
    check_template(environment, subject, known)
    for body in (text, html):
        if body in files:
            check_template(environment, body, known | {"subject"})
    return _CompiledTemplate(
        subject=environment.get_template(subject),
        text=environment.get_template(text) if text in files else None,
        html=environment.get_template(html) if html in files else None,
    )


def _checked(template: str, contract: type[TemplateParams], params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        checked = contract.model_validate(dict(params))
    except ValidationError as refused:
        # Without the values, and `from None`: a reset link must not get into records or logs.
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in refused.errors(include_url=False, include_context=False, include_input=False)
        )
        raise PermanentError(f"the mail template {template} got invalid parameters: {faults:.500}") from None
    values = {name: _printable(value) for name, value in checked.model_dump(by_alias=True).items()}
    for name, value in values.items():
        if isinstance(value, datetime) and value.tzinfo is None:
            raise PermanentError(f"the mail template {template} needs {name} with its offset from UTC")
    return values


def _printable(value: Any) -> Any:
    """Replace each control character of a text with U+FFFD, except line breaks."""
    match value:
        case str():
            return _CONTROL.sub("\ufffd", value)
        case dict():
            return {name: _printable(each) for name, each in value.items()}
        case list() | tuple():
            return [_printable(each) for each in value]
        case _:
            return value


def _utc(moment: datetime) -> str:
    """Format a time as `5 March 2026, 14:05 UTC`."""
    there = moment.astimezone(UTC)
    return f"{there.day} {there:%B %Y, %H:%M} UTC"


def _one_line(value: object) -> str:
    """Collapse all white space, so that a name cannot add paragraphs to a mail."""
    return " ".join(str(value).split())
