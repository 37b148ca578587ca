"""The stack, for all tests of this folder, in whatever order they come."""

from collections.abc import Iterator

import pytest

from tests.end_to_end.stack import Stack, up


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack; each test leaves it without open tasks."""
    with up(tmp_path_factory.mktemp("stack")) as stack:
        yield stack
