"""The AsyncAPI 3 document of the messages of the built-in kinds, made from contracts and topology.

https://www.asyncapi.com/docs/reference/specification/v3.0.0, AMQP binding 0.3.0. Task events are CloudEvents
in binary mode: their attributes are headers (`waybill_contracts.wire.envelope`).
"""

import json
from functools import cache
from typing import Any, Final

from aio_pika import ExchangeType
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from waybill_contracts.kinds import STATUS_SERVICE
from waybill_contracts.registry import Contract, Registry, built_in_registry
from waybill_contracts.wire import CancelRequested, LifecycleEvent, names
from waybill_worker.broker import topology

#: Contracts are of a later draft, but those of the built-in kinds use nothing that this one lacks.
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
    registry = built_in_registry()
    contracts = {name: kind.current for name, kind in sorted(registry.kinds.items())}
    messages = {kind: _task_message(contract) for kind, contract in contracts.items()}
    messages["lifecycle"] = _message("lifecycle", LifecycleEvent, names.CONTENT_TYPE_LIFECYCLE_BATCH)
    messages["lifecycle"]["payload"]["schema"] = {
        "type": "array",
        "items": {"$ref": _REF_TEMPLATE.format(model=LifecycleEvent.__name__)},
    }
    messages["cancel_requested"] = _message("cancel_requested", CancelRequested, names.CONTENT_TYPE_EVENT)
    schemas = {_schema_name(contract): _schema(contract) for contract in contracts.values()}
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
        "channels": _exchange_channels(registry) | _queue_channels(registry),
        "operations": _operations(registry),
        "components": {
            "messages": messages,
            "schemas": schemas | _model_schemas() | {"TaskHeaders": headers},
        },
    }


def _message(name: str, model: type[BaseModel], content_type: str) -> dict[str, Any]:
    return _message_of(name, model.__doc__ or "", content_type, model.__name__)


def _task_message(contract: Contract) -> dict[str, Any]:
    description = contract.schema.get("description", "")
    message = _message_of(contract.kind, description, names.CONTENT_TYPE_EVENT, _schema_name(contract))
    return message | {"headers": {"$ref": "#/components/schemas/TaskHeaders"}}


def _message_of(name: str, description: str, content_type: str, schema: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "summary": description.partition("\n")[0],
        "contentType": content_type,
        "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": _REF_TEMPLATE.format(model=schema)}},
    }


def _schema_name(contract: Contract) -> str:
    return f"{contract.kind}.v{contract.version}"


def _schema(contract: Contract) -> dict[str, Any]:
    """The schema of a contract, with its references to its own definitions."""
    own = json.dumps("#/$defs/")[:-1]
    there = json.dumps(f"{_REF_TEMPLATE.format(model=_schema_name(contract))}/$defs/")[:-1]
    schema: dict[str, Any] = json.loads(json.dumps(contract.schema).replace(own, there))
    return schema


def _model_schemas() -> dict[str, Any]:
    models: tuple[type[BaseModel], ...] = (LifecycleEvent, CancelRequested)
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_REF_TEMPLATE)
    found: dict[str, Any] = schemas["$defs"]
    return found


def _exchange_channels(registry: Registry) -> dict[str, Any]:
    carried = {
        names.EXCHANGE_TASKS: {kind: kind for kind in sorted(registry.kinds)},
        names.EXCHANGE_EVENTS: {"lifecycle": "task.{type}"},
        names.EXCHANGE_CONTROL: {"cancel_requested": "{service}"},
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


def _queue_channels(registry: Registry) -> dict[str, Any]:
    channels = {}
    for service in (*registry.work_services, STATUS_SERVICE):
        work = names.work_queue(service)
        held = {work: registry.kinds_of(service) or ("lifecycle",)}
        if service in registry.services:
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


def _operations(registry: Registry) -> dict[str, Any]:
    operations = {
        f"gateway.sends.{kind}": _operation("send", f"{names.EXCHANGE_TASKS}.{kind}")
        for kind in sorted(registry.kinds)
    }
    operations["gateway.sends.cancel_requested"] = _operation(
        "send", f"{names.EXCHANGE_CONTROL}.cancel_requested"
    )
    for service in registry.work_services:
        operations[f"{service}.receives.work"] = _operation("receive", names.work_queue(service))
        operations[f"{service}.receives.control"] = _operation("receive", names.control_queue(service))
        operations[f"{service}.sends.lifecycle"] = _operation("send", f"{names.EXCHANGE_EVENTS}.lifecycle")
    operations["status.receives.lifecycle"] = _operation("receive", names.work_queue(STATUS_SERVICE))
    return operations


def _operation(action: str, channel: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}
