"""docs/tutorial-service.md: each command as it is written, in an empty folder with the wheels alone."""

from pathlib import Path

import pytest

from tests.wheels.built import ROOT
from tests.wheels.terminal import reader_of
from waybill_testkit.broker import Broker

TUTORIAL = ROOT / "docs" / "tutorial-service.md"


@pytest.mark.broker
@pytest.mark.timeout(900)
def test_the_tutorial_works_as_written(wheels: Path, broker: Broker, vhost: str, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "wheels").symlink_to(wheels)
    urls = {"AMQP_URL": broker.vhost_url(vhost)} | (
        {} if broker.management_url is None else {"AMQP_MANAGEMENT_URL": broker.management_url}
    )
    with reader_of(TUTORIAL.read_text(), folder, **urls) as reader:
        reader.follow()
        assert reader.interrupt() == [0, 0]
