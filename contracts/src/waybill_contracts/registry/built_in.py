"""The manifests of the services that come with Waybill; `make schemas` writes them."""

from functools import cache
from importlib.resources import files

from waybill_contracts.registry.applying import registry_of
from waybill_contracts.registry.manifest import Manifest
from waybill_contracts.registry.registry import Registry


@cache
def built_in_manifests() -> tuple[Manifest, ...]:
    """The manifests, in order of the services' names."""
    folder = files("waybill_contracts.registry") / "manifests"
    texts = {each.name: each.read_bytes() for each in folder.iterdir() if each.name.endswith(".json")}
    return tuple(Manifest.model_validate_json(texts[name]) for name in sorted(texts))


@cache
def built_in_registry() -> Registry:
    """The registry of the built-in services alone, with all routes declared."""
    return registry_of(*built_in_manifests())
