"""Checks templates when the service starts, so that none fails with the first mail."""

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
#: What others extend; a file that is only included has a name that begins with _.
LAYOUT: Final = "layout"
#: What names another template.
_REFERENCES: Final[tuple[type[nodes.Node], ...]] = (
    nodes.Extends,
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
)


def check_files(folder: Path, names: AbstractSet[str]) -> None:
    """Checks that each file of a folder belongs to a template.

    Args:
        folder: the templates of the installation's own.
        names: of all templates, ours and theirs.

    Raises:
        TemplateFolderError: a file is none of a template, or lacks another.
    """
    for file in sorted(folder.iterdir()):
        # What is hidden is the file system's: a mounted ConfigMap has such.
        if file.name.startswith("."):
            continue
        suffix = next((each for each in _SUFFIXES if file.name.endswith(each)), None)
        if suffix is None or not file.is_file():
            raise TemplateFolderError(
                file,
                None,
                "is no file of a template: those end with .subject.txt, .txt, .html and .params.json",
            )
        name = file.name.removesuffix(suffix)
        if not name.startswith("_") and name not in {*names, LAYOUT}:
            raise TemplateFolderError(
                file,
                None,
                f"{name}{PARAMS_SUFFIX} is missing beside it, which names the parameters of the template; a "
                "file that others only include has a name that begins with _",
            )


def check_template(environment: Environment, template: str, known: AbstractSet[str]) -> None:
    """Checks one file and all that it extends, includes and imports.

    Args:
        environment: with a loader.
        template: the file's name.
        known: the variables that it is given.

    Raises:
        TemplateFolderError: its syntax is wrong, it names a file that is not there, or a variable is not
            known.
    """
    parsed = dict(_closure(environment, template))
    # A loop of one file may include another, which then has its variable.
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
    """Each file that a template needs by its name: its path, and what it says."""
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
        # Loaded, too: only compiling finds filters that do not exist, and no rendering reads it again.
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
        raise TemplateFolderError(path, node.lineno, "name the other template as a text in quotes")
    if environment.loader is None:
        raise TypeError("the environment has no loader")
    try:
        environment.loader.get_source(environment, target.value)
    except TemplateNotFound:
        raise TemplateFolderError(path, node.lineno, f"there is no {target.value}") from None
    return target.value
