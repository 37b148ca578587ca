from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from waybill_worker.attempt.attempt import Attempt
from waybill_worker.failure_location import MAX_TRACEBACK_BYTES, failure_location, service_version


def raised(code: str, module: str) -> Exception:
    """What `fail()` of a module of this name raises."""
    names: dict[str, Any] = {"__name__": module}
    exec(code, names)
    with pytest.raises((ValueError, ZeroDivisionError)) as caught:
        names["fail"]()
    return caught.value


def handler_in(module: str) -> Callable[..., Any]:
    """A handler that is defined in a module of this name."""
    names: dict[str, Any] = {"__name__": module}
    exec("def handle(event, attempt): pass", names)
    return partial(names["handle"])


EMAIL = handler_in("waybill_email.handlers")


def test_the_deepest_frame_of_a_service_is_named_without_its_line() -> None:
    error = raised("import json\n\ndef fail():\n    json.loads('{')", "waybill_email.mailer")
    where = failure_location(error, EMAIL)
    assert where.frame == "waybill_email.mailer:fail"
    assert "JSONDecodeError" in where.traceback.splitlines()[-1]


def test_an_error_that_passed_no_service_has_no_frame() -> None:
    error = raised("def fail():\n    1 / 0", "waybill_worker.consume.pipeline")
    assert failure_location(error, EMAIL).frame is None


def test_the_code_of_any_service_is_its_own() -> None:
    error = raised("def fail():\n    1 / 0", "invoices.pdf")
    assert failure_location(error, handler_in("invoices")).frame == "invoices.pdf:fail"


def test_a_long_traceback_keeps_its_end() -> None:
    error = raised("def fail():\n    raise ValueError('\\U0001f4a5' * 5000 + 'the end')", "waybill_email.x")
    text = failure_location(error, EMAIL).traceback
    assert len(text.encode()) <= MAX_TRACEBACK_BYTES
    assert text.rstrip().endswith("the end")


def test_text_that_is_no_unicode_does_no_harm() -> None:
    error = raised("def fail():\n    raise ValueError('\\ud800')", "waybill_email.x")
    failure_location(error, EMAIL).model_dump_json()


def test_the_version_of_a_service_that_is_not_installed_here() -> None:
    assert service_version("nobody") == "unknown"


def test_an_edited_payload_is_another_effect() -> None:
    def key(edit_no: int, redrive_no: int) -> str:
        return Attempt("t1", "sync", "sync.requested", "c", 1, 4, redrive_no, None, edit_no).effect_key

    assert key(0, 0) == key(0, 3) == "t1.sync"
    assert key(1, 1) == key(1, 2) == "t1.sync.edit-1"
