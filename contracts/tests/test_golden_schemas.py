from contracts.schemas import GOLDEN_FOLDER, current_schemas


def test_golden_schemas_are_what_the_models_say() -> None:
    golden = {path.name: path.read_text() for path in GOLDEN_FOLDER.glob("*.json")}
    assert golden == dict(current_schemas()), "a contract changed: if that is meant, run `make schemas`"
