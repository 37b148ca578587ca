"""Kinds and services: the registered state, registering and retiring, and the copies of processes."""

from waybill_ledger.registry.copy import RegistryCopy
from waybill_ledger.registry.registering import (
    ApplyManifest,
    NoSuchServiceError,
    RetireService,
    apply_manifests,
    confirm_declared,
    retire_services,
)
from waybill_ledger.registry.stored import load_registry, revision_of_registry
from waybill_ledger.registry.uses import WorkLeft, uses_of, work_left

__all__ = [
    "ApplyManifest",
    "NoSuchServiceError",
    "RegistryCopy",
    "RetireService",
    "WorkLeft",
    "apply_manifests",
    "confirm_declared",
    "load_registry",
    "retire_services",
    "revision_of_registry",
    "uses_of",
    "work_left",
]
