"""Users: new users of the application."""

from waybill_gateway.users import routes
from waybill_gateway.users.models import UserFields

__all__ = [
    "UserFields",
    "routes",
]
