import re

from waybill_contracts.kinds.catalog import CATALOG
from waybill_contracts.versions.schemas import GOLDEN_FOLDER, current_schemas


def test_golden_schemas_are_what_the_models_say() -> None:
    golden = {name: (GOLDEN_FOLDER / name).read_text() for name in current_schemas()}
    assert golden == dict(current_schemas()), "a contract changed: if that is meant, run `make schemas`"


def test_the_other_golden_schemas_are_older_versions() -> None:
    for name in {path.name for path in GOLDEN_FOLDER.glob("*.json")} - current_schemas().keys():
        match = re.fullmatch(r"(.+)\.v(\d+)\.json", name)
        assert match is not None
        assert int(match[2]) < CATALOG[match[1]].event.VERSION
