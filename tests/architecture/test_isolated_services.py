"""What a service is made of can be sent to the process that runs one of its attempts alone."""

import pickle
from importlib import import_module

import pytest

from tests.architecture.test_default_retries import REQUIRED, SETTINGS
from waybill_contracts.kinds.catalog import WORK_SERVICES
from waybill_worker.service import Service


@pytest.mark.parametrize("service", WORK_SERVICES)
async def test_a_service_can_be_made_anew_in_another_process(service: str) -> None:
    settings = SETTINGS[service](
        inbox_url="sqlite:///inbox.db", sealing_keys="A" * 43 + "=", **REQUIRED[service]
    )
    make = import_module(f"waybill_{service}.app").service.process
    sent, sent_make = pickle.loads(pickle.dumps((settings, make)))

    assert sent == settings
    assert isinstance(sent_make(sent), Service)
