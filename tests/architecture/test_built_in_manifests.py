"""The manifests that the installation registers are those of the services' own code."""

from importlib import import_module

import pytest

from waybill_contracts.registry import Manifest, built_in_manifests


@pytest.mark.parametrize("kept", built_in_manifests(), ids=lambda manifest: manifest.service)
def test_a_manifest_is_what_the_code_of_the_service_states(kept: Manifest) -> None:
    service = import_module(f"waybill_{kept.service}.app").service

    assert service.manifest().text() == kept.text(), "run `make schemas`"
