"""Turns a template and its parameters into the words of a mail."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, TemplateError, select_autoescape
from pydantic import ValidationError

from chassis.errors import PermanentError
from contracts.templates import TEMPLATE_PARAMS

#: What no mail may hold. The errors of other systems may, and an alert about one is sent all the same.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """The words of a mail: a subject of one line, and the same content as plain text, as HTML or both."""

    subject: str
    text: str | None
    html: str | None


@dataclass(frozen=True, slots=True)
class _CompiledTemplate:
    subject: Template
    text: Template
    html: Template


class Renderer:
    """Renders the mail templates of this package; they are read and compiled here once, and never again.

    Parameters are data: they are checked by the contract, put in by value, and escaped in HTML.
    """

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("email_service", "templates"),
            autoescape=select_autoescape(enabled_extensions=("html",), default=False),
            undefined=StrictUndefined,
            # Else every rendering asks the file system whether the layout has changed.
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters["utc"] = _utc
        environment.filters["one_line"] = _one_line
        environment.get_template("layout.html")
        self._templates = {
            name: _CompiledTemplate(
                subject=environment.get_template(f"{name}.subject.txt"),
                text=environment.get_template(f"{name}.txt"),
                html=environment.get_template(f"{name}.html"),
            )
            for name in TEMPLATE_PARAMS
        }

    def render(self, template: str, params: Mapping[str, Any]) -> RenderedMail:
        """Render one mail.

        Args:
            template: `welcome`, `password_reset`, `ops_alert` or `ops_digest`.
            params: what `contracts.templates` lists for it; times as aware `datetime` or ISO 8601 text.

        Raises:
            PermanentError: no such template, or a parameter is missing, unknown or malformed; it names them.
        """
        compiled = self._templates.get(template)
        if compiled is None:
            known = ", ".join(sorted(self._templates))
            raise PermanentError(f"there is no mail template {template!r:.100}: choose one of {known}")
        values = _checked(template, params)
        try:
            subject = _one_line(compiled.subject.render(values))
            values["subject"] = subject
            return RenderedMail(subject, compiled.text.render(values), compiled.html.render(values))
        except TemplateError as error:
            raise PermanentError(
                f"the mail template {template} cannot be rendered: {error.message}"
            ) from error


def _checked(template: str, params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        checked = TEMPLATE_PARAMS[template].model_validate(dict(params))
    except ValidationError as refused:
        # Without the values, and `from None`: a reset link must not get into the task's record or the log.
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in refused.errors(include_url=False, include_context=False, include_input=False)
        )
        raise PermanentError(f"the mail template {template} got wrong parameters: {faults:.500}") from None
    values = {name: _printable(value) for name, value in checked.model_dump().items()}
    for name, value in values.items():
        if isinstance(value, datetime) and value.tzinfo is None:
            raise PermanentError(f"the mail template {template} needs {name} with its offset from UTC")
    return values


def _printable(value: Any) -> Any:
    """Put U+FFFD for each control character of a text; line breaks stay."""
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
    """Show a moment as `5 March 2026, 14:05 UTC`."""
    there = moment.astimezone(UTC)
    return f"{there.day} {there:%B %Y, %H:%M} UTC"


def _one_line(value: object) -> str:
    """Collapse all white space, so that a name cannot bring paragraphs of its own into a mail."""
    return " ".join(str(value).split())
