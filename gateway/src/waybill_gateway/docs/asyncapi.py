"""The AsyncAPI 3 document of all messages, made from the catalog, the topology and the models.

https://www.asyncapi.com/docs/reference/specification/v3.0.0, AMQP binding 0.3.0. Task events are CloudEvents
in binary mode: their attributes are headers (`waybill_contracts.wire.envelope`).
"""

from functools import cache
from typing import Any, Final

from aio_pika import ExchangeType
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from waybill_contracts.kinds import CATALOG, STATUS_SERVICE, WORK_SERVICES, kinds_of
from waybill_contracts.wire import CancelRequested, LifecycleEvent, names
from waybill_worker.broker import topology

#: Pydantic writes a later draft, but uses nothing that this one lacks.
_SCHEMA_FORMAT: Final = "application/schema+json;version=draft-07"
_REF_TEMPLATE: Final = "#/components/schemas/{model}"
_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer"}
_INSTANT: Final = {"type": "string", "format": "date-time"}
_REQUIRED_HEADERS: Final = {
    f"{names.CLOUD_EVENTS_PREFIX}id": _TEXT,
    f"{names.CLOUD_EVENTS_PREFIX}type": _TEXT,
    f"{names.CLOUD_EVENTS_PREFIX}source": _TEXT,
    f"{names.CLOUD_EVENTS_PREFIX}time": _INSTANT,
    f"{names.CLOUD_EVENTS_PREFIX}specversion": {"const": "1.0"},
    f"{names.CLOUD_EVENTS_PREFIX}dataschema": _TEXT,
    names.HEADER_TASK_ID: _TEXT,
    names.HEADER_ATTEMPT: _COUNT,
    names.HEADER_REDRIVE_NO: _COUNT,
}
_OTHER_HEADERS: Final = {
    names.HEADER_MAX_ATTEMPTS: _COUNT,
    names.HEADER_DEADLINE: _INSTANT,
    names.HEADER_TRACEPARENT: _TEXT,
}


@cache
def asyncapi_document() -> dict[str, Any]:
    """The document."""
    events = {kind: entry.event for kind, entry in CATALOG.items()}
    models: tuple[type[BaseModel], ...] = (*events.values(), LifecycleEvent, CancelRequested)
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_REF_TEMPLATE)
    messages = {kind: _message(kind, model, names.CONTENT_TYPE_EVENT) for kind, model in events.items()}
    for message in messages.values():
        message["headers"] = {"$ref": "#/components/schemas/TaskHeaders"}
    messages["lifecycle"] = _message("lifecycle", LifecycleEvent, names.CONTENT_TYPE_LIFECYCLE_BATCH)
    messages["lifecycle"]["payload"]["schema"] = {
        "type": "array",
        "items": {"$ref": _REF_TEMPLATE.format(model=LifecycleEvent.__name__)},
    }
    messages["cancel_requested"] = _message("cancel_requested", CancelRequested, names.CONTENT_TYPE_EVENT)
    headers = {
        "type": "object",
        "required": list(_REQUIRED_HEADERS),
        "properties": _REQUIRED_HEADERS | _OTHER_HEADERS,
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Waybill",
            "version": "1",
            "description": "The messages between gateway and services over RabbitMQ.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": names.CONTENT_TYPE_EVENT,
        "channels": _exchange_channels() | _queue_channels(),
        "operations": _operations(),
        "components": {"messages": messages, "schemas": schemas["$defs"] | {"TaskHeaders": headers}},
    }


def _message(name: str, model: type[BaseModel], content_type: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "summary": (model.__doc__ or "").partition("\n")[0],
        "contentType": content_type,
        "payload": {
            "schemaFormat": _SCHEMA_FORMAT,
            "schema": {"$ref": _REF_TEMPLATE.format(model=model.__name__)},
        },
    }


def _exchange_channels() -> dict[str, Any]:
    carried = {
        names.EXCHANGE_TASKS: {kind: kind for kind in CATALOG},
        names.EXCHANGE_EVENTS: {"lifecycle": "task.{type}"},
        names.EXCHANGE_CONTROL: {"cancel_requested": ""},
    }
    types = {exchange.name: exchange.type for exchange in topology.exchanges()}
    return {
        f"{exchange}.{message}": _channel(message, key, _exchange(exchange, types[exchange]))
        for exchange, keys in carried.items()
        for message, key in keys.items()
    }


def _channel(message: str, key: str, binding: dict[str, Any]) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": key or None,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"amqp": binding},
    }
    if "{type}" in key:
        channel["parameters"] = {"type": {"description": "What happened: started, retrying, completed …"}}
    return channel


def _exchange(name: str, type_: ExchangeType) -> dict[str, Any]:
    exchange = {"name": name, "type": type_.value, "durable": True, "autoDelete": False, "vhost": "/"}
    return {"is": "routingKey", "exchange": exchange, "bindingVersion": "0.3.0"}


def _queue_channels() -> dict[str, Any]:
    channels = {}
    for service in (*WORK_SERVICES, STATUS_SERVICE):
        work = names.work_queue(service)
        held = {work: kinds_of(service) or ("lifecycle",)}
        if service in WORK_SERVICES:
            held[names.control_queue(service)] = ("cancel_requested",)
        for queue, messages in held.items():
            channels[queue] = {
                "address": queue,
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {
                    "amqp": {
                        "is": "queue",
                        "queue": {
                            "name": queue,
                            "durable": True,
                            "exclusive": False,
                            "autoDelete": False,
                            "vhost": "/",
                        },
                        "bindingVersion": "0.3.0",
                    }
                },
            }
    return channels


def _operations() -> dict[str, Any]:
    operations = {
        f"gateway.sends.{kind}": _operation("send", f"{names.EXCHANGE_TASKS}.{kind}") for kind in CATALOG
    }
    operations["gateway.sends.cancel_requested"] = _operation(
        "send", f"{names.EXCHANGE_CONTROL}.cancel_requested"
    )
    for service in WORK_SERVICES:
        operations[f"{service}.receives.work"] = _operation("receive", names.work_queue(service))
        operations[f"{service}.receives.control"] = _operation("receive", names.control_queue(service))
        operations[f"{service}.sends.lifecycle"] = _operation("send", f"{names.EXCHANGE_EVENTS}.lifecycle")
    operations["status.receives.lifecycle"] = _operation("receive", names.work_queue(STATUS_SERVICE))
    return operations


def _operation(action: str, channel: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}
