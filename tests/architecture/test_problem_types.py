"""Every problem that the gateway can raise is in its OpenAPI document."""

import ast
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from waybill_gateway.auth.scopes import NEEDED, OPEN
from waybill_gateway.docs.problem_types import OF_NO_OPERATION, PROBLEM_TYPES, problems_of

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    *ROOT.glob("gateway/src/**/*.py"),
    *ROOT.glob("ledger/src/waybill_ledger/deadletters/redrives/control.py"),
)
#: What makes a problem, and which of its arguments is the code.
MAKERS = {"Problem": 1, "_closing": 1, "_response": 1, "_unauthorized": 0, "RefusedImage": 0, "Refused": 0}
#: Codes that are put together where they are raised.
PUT_TOGETHER = {
    *("token_unknown", "token_expired", "token_redeemed"),
    *("slow_head", "slow_body", "unknown_service"),
    *("store_misconfigured", "store_unavailable"),
    *("not_found", "bad_request"),  # the framework's own, by their status
}


def raised() -> Iterator[tuple[str, str]]:
    """Each code that stands in the code, and where."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            place = MAKERS.get(node.func.id, len(node.args))
            for code in node.args[place : place + 1]:
                if isinstance(code, ast.Constant):
                    yield str(code.value), f"{path.relative_to(ROOT)}:{node.lineno}"


def test_each_code_that_is_raised_is_described() -> None:
    described = {code for codes in PROBLEM_TYPES.values() for code in codes}
    found = dict(raised())

    assert {code: where for code, where in found.items() if code not in described} == {}
    assert described - found.keys() == PUT_TOGETHER


def test_each_described_problem_is_one_that_some_operation_may_answer_with() -> None:
    headers = [{"in": "header", "name": name} for name in ("X-Actor", "Idempotency-Key", "Last-Event-ID")]
    forms: tuple[dict[str, Any], ...] = ({"application/json": {}}, {"multipart/form-data": {}})
    documented = {
        problem
        for name in NEEDED.keys() | OPEN
        for form in forms
        for problem in problems_of(
            {
                "operationId": name,
                "parameters": [*headers, {"in": "query", "name": "cursor"}],
                "requestBody": {"content": form},
            }
        )
    }
    described = {(status, code) for status, codes in PROBLEM_TYPES.items() for code in codes}

    assert {problem for problem in described - documented if problem[1] not in OF_NO_OPERATION} == set()
    assert {status for status, _ in described if status < HTTPStatus.BAD_REQUEST} == set()
