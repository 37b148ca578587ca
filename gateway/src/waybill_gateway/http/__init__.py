"""HTTP below the routes: connections, bodies, fields, pages, idempotency keys, problem documents, metrics."""

from waybill_gateway.http.body_limit import BodyLimit, Upload, limit_body, limited_receive, too_large
from waybill_gateway.http.fields import (
    MAX_INTEGER,
    NOT_BLANK,
    Beginning,
    Moment,
    Number,
    Search,
    Tenant,
    Text,
    Truth,
    Whole,
    Word,
)
from waybill_gateway.http.head_requests import HeadRequests
from waybill_gateway.http.idempotency_key import KEY_HEADER, CallsUnderWay, IdempotencyKey, parse_key
from waybill_gateway.http.json_body import JsonRoute, parse_json, read_json, require_json
from waybill_gateway.http.metrics import GatewayMetrics, MeasureRequests
from waybill_gateway.http.paging import Paged, page_or_problem
from waybill_gateway.http.probes import PROBES
from waybill_gateway.http.problems import (
    CONTENT_TYPE,
    MAX_ERRORS,
    TYPE_PREFIX,
    FieldError,
    Problem,
    ProblemDocument,
    errors_of,
    install_problems,
    key_missing,
    ledger_unavailable,
    problem_answer,
)
from waybill_gateway.http.protocol import HttpLimits, LimitedProtocol
from waybill_gateway.http.single_headers import SINGLE_HEADERS, require_single
from waybill_gateway.http.tracing import TraceRequests
from waybill_gateway.http.validation import validated, validated_beside

__all__ = [
    "CONTENT_TYPE",
    "KEY_HEADER",
    "MAX_ERRORS",
    "MAX_INTEGER",
    "NOT_BLANK",
    "PROBES",
    "SINGLE_HEADERS",
    "TYPE_PREFIX",
    "Beginning",
    "BodyLimit",
    "CallsUnderWay",
    "FieldError",
    "GatewayMetrics",
    "HeadRequests",
    "HttpLimits",
    "IdempotencyKey",
    "JsonRoute",
    "LimitedProtocol",
    "MeasureRequests",
    "Moment",
    "Number",
    "Paged",
    "Problem",
    "ProblemDocument",
    "Search",
    "Tenant",
    "Text",
    "TraceRequests",
    "Truth",
    "Upload",
    "Whole",
    "Word",
    "errors_of",
    "install_problems",
    "key_missing",
    "ledger_unavailable",
    "limit_body",
    "limited_receive",
    "page_or_problem",
    "parse_json",
    "parse_key",
    "problem_answer",
    "read_json",
    "require_json",
    "require_single",
    "too_large",
    "validated",
    "validated_beside",
]
