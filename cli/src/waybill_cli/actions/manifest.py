"""Manifests of services: from a file, from stdin, or from a service object in a Python module."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from waybill_cli.command_line import CommandError, Exit


def stated_manifest(source: str) -> dict[str, Any]:
    """The manifest that a source names, as JSON; the gateway checks the rest of it.

    Args:
        source: a file, `-` for stdin, or `MODULE:SERVICE`, where SERVICE has a function `manifest()`.

    Raises:
        CommandError: it cannot be read, or is no manifest.
    """
    if source != "-" and ":" in source and not Path(source).exists():
        return _of_service(source)
    try:
        manifest = json.loads(sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes())
    except OSError as error:
        raise CommandError(
            Exit.USAGE,
            f"the manifest {source} cannot be read: {error.strerror}",
            "Name a file, `-` for stdin, or a service in a module: invoices:service.",
        ) from error
    except ValueError as error:
        raise CommandError(Exit.USAGE, f"{_named(source)} is no manifest: {error}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("service"), str):
        raise CommandError(Exit.USAGE, f"{_named(source)} is no manifest: it names no service")
    return manifest


def _of_service(source: str) -> dict[str, Any]:
    from waybill_contracts.registry import Manifest  # noqa: PLC0415 - slow to import; files do without

    module, _, path = source.partition(":")
    # As `python -m` does: the command itself is started from elsewhere.
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
        manifest = found.manifest()
    except Exception as error:
        # Any part of the code of others may fail, also while it is imported.
        raise CommandError(
            Exit.USAGE,
            f"the service {source} cannot be loaded: {type(error).__name__}: {error}",
            "MODULE must be importable from here, and SERVICE have a function manifest().",
        ) from error
    finally:
        sys.path.pop(0)
    if not isinstance(manifest, Manifest):
        raise CommandError(
            Exit.USAGE, f"the manifest of {source} is a {type(manifest).__name__}, not a Manifest"
        )
    stated: dict[str, Any] = json.loads(manifest.text())
    return stated


def _named(source: str) -> str:
    return "stdin" if source == "-" else source
