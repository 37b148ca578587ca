"""The descriptions of the API: OpenAPI and AsyncAPI."""

from waybill_gateway.docs.asyncapi import asyncapi_document
from waybill_gateway.docs.description import DESCRIPTION, SUMMARY, TAGS, describe_problems
from waybill_gateway.docs.problem_types import OF_NO_OPERATION

__all__ = [
    "DESCRIPTION",
    "OF_NO_OPERATION",
    "SUMMARY",
    "TAGS",
    "asyncapi_document",
    "describe_problems",
]
