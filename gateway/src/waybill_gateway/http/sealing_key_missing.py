"""The answer where a call needs what is sealed with a key that is not configured here."""

from http import HTTPStatus
from typing import Final

from waybill_contracts.privacy.seal import UnknownKeyError
from waybill_gateway.http.problems import Problem
from waybill_worker.observe.logs import get_logger

log = get_logger(__name__)

#: Somebody has to configure the key, or a rotation under way has to reach this process.
_RETRY_SECONDS: Final = 60


def key_missing(error: UnknownKeyError, needed_for: str, detail: str) -> Problem:
    """Says which key is missing in the log, where operators look, and to the caller only what it means.

    Args:
        error: names the key.
        needed_for: what could not be opened, for the log.
        detail: what the caller should know beside it.
    """
    log.error("a sealing key is not configured here", key=error.key, needed_for=needed_for)
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "sealing_key_missing",
        f"This needs a sealing key that is not configured here just now. {detail}",
        headers={"Retry-After": str(_RETRY_SECONDS)},
    )
