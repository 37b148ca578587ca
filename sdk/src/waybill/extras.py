"""What to install for a part of Waybill that an application alone has no need of."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Says which extra brings a module that is missing.

        with needing("service"):
            from waybill_worker.service import run_service

    Raises:
        ModuleNotFoundError: it is missing; the text says what to install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.msg}: pip install 'waybill[{extra}]' brings it", name=error.name, path=error.path
        ) from None
