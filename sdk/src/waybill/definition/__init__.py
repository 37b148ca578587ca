"""Services as their authors define them: kinds, handlers, handler tasks, upcasters, resources."""

from waybill.definition.contracts import DefinitionError, is_async
from waybill.definition.handler_tasks import HandlerTask
from waybill.definition.service import Service

__all__ = ["DefinitionError", "HandlerTask", "Service", "is_async"]
