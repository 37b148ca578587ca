"""Each operation of the OpenAPI document, asked what it allows and what not; `make fuzz` asks more."""

from pathlib import Path

from tests.hostile.fuzz import fuzz
from waybill_testkit.postgres.private import Postgres


def test_every_answer_is_as_documented(tmp_path: Path, postgres: Postgres) -> None:
    # PostgreSQL, which refuses text that SQLite takes. The same questions each time.
    with postgres.database() as url:
        asked = fuzz(
            tmp_path, url, ["--generation-deterministic", "--max-examples", "2"], capture_output=True
        )
    assert asked.returncode == 0, asked.stdout[-20_000:] + asked.stderr
