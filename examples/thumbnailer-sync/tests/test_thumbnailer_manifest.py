"""manifest.json is the manifest of the code: a change of a contract is seen in its review."""

from pathlib import Path

from thumbnailer import service

MANIFEST = Path(__file__).parents[1] / "manifest.json"


def test_the_manifest_is_that_of_the_code() -> None:
    assert MANIFEST.read_text() == service.manifest().text(), (
        "waybill manifest thumbnailer:service --output manifest.json"
    )
