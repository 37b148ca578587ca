"""Checks templates at the start of the service, so that none fails with its first mail."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from jinja2 import BaseLoader, Environment, TemplateNotFound, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables

from waybill_contracts.kinds import PARAMS_SUFFIX, TemplateFolderError

SUBJECT_SUFFIX: Final = ".subject.txt"
#: Longest first: a subject ends with two of them.
_SUFFIXES: Final = (SUBJECT_SUFFIX, PARAMS_SUFFIX, ".txt", ".html")
#: Extended by other templates; the name of a file that is only included begins with _.
LAYOUT: Final = "layout"
#: Nodes that refer to another template.
_REFERENCES: Final[tuple[type[nodes.Node], ...]] = (
    nodes.Extends,
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
)


def check_files(folder: Path, names: AbstractSet[str]) -> None:
    """Checks that each file of a folder belongs to a template.

    Args:
        folder: templates of the installation.
        names: names of all templates, of Waybill and of the installation.

    Raises:
        TemplateFolderError: a file belongs to no template, or its parameter file is missing.
    """
    for file in sorted(folder.iterdir()):
        # Hidden files are ignored: a mounted ConfigMap has some.
        if file.name.startswith("."):
            continue
        suffix = next((each for each in _SUFFIXES if file.name.endswith(each)), None)
        if suffix is None or not file.is_file():
            raise TemplateFolderError(
                file,
                None,
                "belongs to no template: file names end with .subject.txt, .txt, .html or .params.json",
            )
        name = file.name.removesuffix(suffix)
        if not name.startswith("_") and name not in {*names, LAYOUT}:
            raise TemplateFolderError(
                file,
                None,
                f"{name}{PARAMS_SUFFIX} is missing, which declares the template's parameters; the name of "
                "a file that is only included begins with _",
            )


def check_template(environment: Environment, template: str, known: AbstractSet[str]) -> None:
    """Checks one file and all that it extends, includes and imports.

    Args:
        environment: with a loader.
        template: name of the file.
        known: names of its variables.

    Raises:
        TemplateFolderError: its syntax is invalid, a file is missing, or a variable is unknown.
    """
    parsed = dict(_closure(environment, template))
    # A loop in one file may include another file, which then has its variable.
    assigned = {
        name.name for _, tree in parsed.values() for name in tree.find_all(nodes.Name) if name.ctx != "load"
    }
    for file, tree in parsed.values():
        unknown = find_undeclared_variables(tree) - known - assigned - environment.globals.keys()
        for name in tree.find_all(nodes.Name):
            if name.name in unknown:
                raise TemplateFolderError(
                    file,
                    name.lineno,
                    f"there is no variable {name.name}: {template} has {', '.join(sorted(known)) or 'none'}",
                )


def _closure(environment: Environment, template: str) -> Iterator[tuple[str, tuple[str, nodes.Template]]]:
    """Name of each file that a template needs, with its path and content."""
    waiting, found = [template], {template}
    while waiting:
        name = waiting.pop()
        path, tree = _parsed(environment, name)
        yield name, (path, tree)
        for node in tree.find_all(_REFERENCES):
            referred = _referred(environment, path, node)
            if referred not in found:
                found.add(referred)
                waiting.append(referred)


def _parsed(environment: Environment, name: str) -> tuple[str, nodes.Template]:
    loader = environment.loader
    if not isinstance(loader, BaseLoader):
        raise TypeError("the environment has no loader")
    try:
        source, path, _ = loader.get_source(environment, name)
        # Also loaded: only compiling finds unknown filters, and rendering then need not read it.
        environment.get_template(name)
        return path or name, environment.parse(source, name, path)
    except TemplateSyntaxError as error:
        raise TemplateFolderError(
            error.filename or error.name or name, error.lineno, error.message or "cannot be read"
        ) from None
    except UnicodeDecodeError as error:
        raise TemplateFolderError(name, None, f"is not UTF-8: {error.reason} at byte {error.start}") from None


def _referred(environment: Environment, path: str, node: nodes.Node) -> str:
    target = getattr(node, "template", None)
    if not isinstance(target, nodes.Const) or not isinstance(target.value, str):
        raise TemplateFolderError(path, node.lineno, "write the name of the other template as text in quotes")
    if environment.loader is None:
        raise TypeError("the environment has no loader")
    try:
        environment.loader.get_source(environment, target.value)
    except TemplateNotFound:
        raise TemplateFolderError(path, node.lineno, f"there is no {target.value}") from None
    return target.value
