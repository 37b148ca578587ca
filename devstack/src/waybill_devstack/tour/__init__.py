"""The tour: shows the features of the stack on real input, and fails if one does not work."""

from waybill_devstack.tour.backstage import ContainersBackstage
from waybill_devstack.tour.compose import Compose, ComposeError
from waybill_devstack.tour.guide import take_tour
from waybill_devstack.tour.world import Places

__all__ = [
    "Compose",
    "ComposeError",
    "ContainersBackstage",
    "Places",
    "take_tour",
]
