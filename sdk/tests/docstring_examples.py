"""The examples in docstrings of the public API: where they are, and how they are run."""

import ast
import asyncio
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from inspect import CO_COROUTINE
from types import FunctionType, ModuleType
from typing import Any, Final

from waybill.problems import ProblemError

#: Modules that users import; all others are private.
PUBLIC: Final = (
    "waybill",
    "waybill.client",
    "waybill.problems",
    "waybill.kinds",
    "waybill.testing",
    "waybill.testing.plugin",
    "waybill.outbox",
    "waybill.outbox.direct",
    "waybill.fastapi",
    "waybill.django",
)
_SECTIONS: Final = re.compile(r"^(?:Args|Attributes|Options|Raises|Returns):$", re.MULTILINE)
#: Methods that users do not call, and who does.
CALLED_BY_OTHERS: Final = {
    "Service": ("process", "handler_of"),  # the test kit
    "Submission": ("document",),  # the clients
    "Tasks": ("submit_to",),  # the dependency of the endpoint
    "MemoryTask": ("accepted", "view", "happened", "timeline", "listed_files", "content_of"),  # its gateway
    "WaybillBackend": ("enqueue", "get_result", "check", "event_of"),  # Django
    "RunningRelay": ("relay", "collector", "start", "stop", "join"),  # the example of the class has them
    "ProblemError": ("of",),  # the clients
}


def example_in(documented: Any) -> str | None:
    """The code in a docstring, up to its sections; None: it has none."""
    text = _SECTIONS.split(inspect.getdoc(documented) or "", maxsplit=1)[0]
    _, _, body = text.partition("\n\n")
    lines = body.splitlines()
    indented = textwrap.dedent(
        "\n".join(line for line in lines if line.startswith("    ") or not line)
    ).strip()
    # A formatter takes the indentation from a docstring that has nothing else below its first line.
    paragraphs = body.strip().split("\n\n")
    whole = ("\n\n".join(paragraphs[:number]) for number in range(len(paragraphs), 0, -1))
    return next(filter(is_code, (indented,) if body.startswith("    ") else (*whole, indented)), None)


def is_code(text: str) -> bool:
    """Whether a text is Python, and no sentence."""
    try:
        return bool(ast.parse(text).body)
    except SyntaxError:
        return False


def public_modules() -> Iterator[ModuleType]:
    """The modules that users import."""
    return map(importlib.import_module, PUBLIC)


def names_of(module: ModuleType) -> dict[str, Any]:
    """All that a public module gives."""
    return {name: getattr(module, name) for name in getattr(module, "__all__", None) or defined_in(module)}


def module_of(name: str) -> ModuleType:
    """The public module that a name belongs to."""
    return importlib.import_module(
        max((each for each in PUBLIC if f"{name}.".startswith(f"{each}.")), key=len)
    )


def public_objects() -> dict[str, Any]:
    """Classes and functions of the public modules, each under the first name that it has."""
    found: dict[str, Any] = {}
    for module in public_modules():
        for name, value in names_of(module).items():
            is_fixture = type(value).__name__ == "FixtureFunctionDefinition"
            if (inspect.isclass(value) or inspect.isfunction(value) or is_fixture) and not any(
                value is each for each in found.values()
            ):
                found[f"{module.__name__}.{name}"] = value
    return found


def defined_in(module: ModuleType) -> list[str]:
    """Public names of a module without a list of them."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def public_methods(name: str, owner: type) -> dict[str, Any]:
    """The methods of a public class that users call; those of models come from pydantic."""
    if hasattr(owner, "model_fields"):
        return {}
    others = CALLED_BY_OTHERS.get(owner.__name__, ())
    return {
        f"{name}.{method}": value
        for method, value in inspect.getmembers(owner, inspect.isroutine)
        if not method.startswith("_")
        and method not in others
        and str(getattr(value, "__module__", "")).startswith("waybill")
        and not (issubclass(owner, BaseException))
    }


def has_a_code(value: Any) -> bool:
    """Whether a class is that of one problem."""
    return inspect.isclass(value) and issubclass(value, ProblemError) and value is not ProblemError


def documented() -> dict[str, Any]:
    """All that has an example in its docstring, or should."""
    found: dict[str, Any] = {module.__name__: module for module in public_modules()}
    for name, value in public_objects().items():
        found[name] = value
        if inspect.isclass(value):
            found |= public_methods(name, value)
    return found


async def executed(text: str, name: str, given: dict[str, Any]) -> None:
    """Runs an example, which may await, with the names that it is given; those that it defines are added."""
    code = compile(text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & CO_COROUTINE:
        await FunctionType(code, given)()
    else:
        await asyncio.to_thread(exec, code, given)
