"""Kinds as data: contracts, the manifests of services, and the registry of both."""

from waybill_contracts.registry.applying import (
    RESERVED,
    Application,
    Use,
    apply,
    declared,
    registry_of,
    retire,
)
from waybill_contracts.registry.built_in import built_in_manifests, built_in_registry
from waybill_contracts.registry.compatibility import breaking_changes
from waybill_contracts.registry.contract import MAX_FAULTS, Contract
from waybill_contracts.registry.data_fault import DataFault
from waybill_contracts.registry.manifest import HandledKind, KindName, Manifest, Policy, ServiceName
from waybill_contracts.registry.registry import Kind, Registry, Route, Service, UnknownKindError
from waybill_contracts.registry.schema_rules import (
    MAX_FIELDS,
    MAX_SCHEMA_BYTES,
    MAX_SCHEMA_DEPTH,
    schema_faults,
)

__all__ = [
    "MAX_FAULTS",
    "MAX_FIELDS",
    "MAX_SCHEMA_BYTES",
    "MAX_SCHEMA_DEPTH",
    "RESERVED",
    "Application",
    "Contract",
    "DataFault",
    "HandledKind",
    "Kind",
    "KindName",
    "Manifest",
    "Policy",
    "Registry",
    "Route",
    "Service",
    "ServiceName",
    "UnknownKindError",
    "Use",
    "apply",
    "breaking_changes",
    "built_in_manifests",
    "built_in_registry",
    "declared",
    "registry_of",
    "retire",
    "schema_faults",
]
