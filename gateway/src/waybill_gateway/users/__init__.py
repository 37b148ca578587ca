"""Users: new users of the application."""

from waybill_gateway.users import routes
from waybill_gateway.users.models import check_user

__all__ = [
    "check_user",
    "routes",
]
