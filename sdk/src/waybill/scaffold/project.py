"""Writes the project of a new service."""

from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from waybill.definition import DefinitionError, Service

#: Template to the file in the project; `PACKAGE` stands for the package's name.
_FILES: Final = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "Dockerfile": "Dockerfile",
    "compose.yaml": "compose.yaml",
    "init.py": "src/PACKAGE/__init__.py",
    "events.py": "src/PACKAGE/events.py",
    "handlers.py": "src/PACKAGE/handlers.py",
    "conftest.py": "tests/conftest.py",
    "test_handlers.py": "tests/test_handlers.py",
    "test_stack.py": "tests/test_stack.py",
}


class ProjectError(Exception):
    """The project cannot be written; the text says why."""


def write_project(name: str, parent: Path) -> Path:
    """Writes the project of a service: one kind, one handler, tests, Dockerfile, compose stanza.

    Args:
        name: of the service.
        parent: gets a folder of this name, which must not exist or be empty.

    Returns:
        The folder.

    Raises:
        ProjectError: the name is not one of a service, or the folder has files.
    """
    try:
        Service(name)
    except DefinitionError as error:
        raise ProjectError(str(error)) from None
    folder = parent / name
    if folder.exists() and any(folder.iterdir()):
        raise ProjectError(f"{folder} exists, and is not empty")
    package = name.replace("-", "_")
    words = {
        "name": name,
        "package": package,
        "event": "".join(word.capitalize() for word in name.split("-")) + "Requested",
        "kind": f"{name}.requested",
        "env": package.upper(),
    }
    templates = files("waybill.scaffold") / "template"
    for template, place in _FILES.items():
        text = (templates / f"{template}.tmpl").read_text(encoding="utf-8")
        path = folder / place.replace("PACKAGE", package)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    return folder
