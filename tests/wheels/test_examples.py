"""The projects in examples/, each as its team has it: outside of the repository, with the wheels alone."""

import shutil
from pathlib import Path

import pytest

from tests.wheels.built import ROOT
from tests.wheels.terminal import reader_of
from waybill_testkit.broker import Broker

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))
#: What a run of a project leaves behind in its folder.
LEFT = shutil.ignore_patterns("__pycache__", ".*", "wheels", "*.egg-info")
#: Shows the modules of ours that are loaded, and where everything is looked for.
WHERE = "python -c 'import sys, waybill.testing.stack; print(waybill.__file__, sys.path)'"


@pytest.mark.broker
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_what_its_readme_says_works_with_the_wheels_alone(
    example: Path, wheels: Path, broker: Broker, tmp_path: Path
) -> None:
    project = tmp_path / example.name
    shutil.copytree(example, project, ignore=LEFT)
    (project / "wheels").symlink_to(wheels)
    readme = (example / "README.md").read_text()
    urls = {"AMQP_URL": broker.amqp_url} | (
        {} if broker.management_url is None else {"AMQP_MANAGEMENT_URL": broker.management_url}
    )
    with reader_of(readme, project, **urls) as reader:
        reader.follow()
        where = reader.terminal.run(WHERE)

    assert str(project / ".venv") in where
    assert str(ROOT) not in where
    assert (project / "manifest.json").read_text() == (example / "manifest.json").read_text()
