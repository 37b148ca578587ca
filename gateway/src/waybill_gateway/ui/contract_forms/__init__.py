"""Forms that are made from the contract of a kind: a field of the page for each field of the data."""

from waybill_gateway.ui.contract_forms.data_form import DataForm, faults_of, form_of
from waybill_gateway.ui.contract_forms.fields import Field, fields_of, is_hidden
from waybill_gateway.ui.contract_forms.patches import patch_in
from waybill_gateway.ui.contract_forms.reading import data_in, pointer_to

__all__ = [
    "DataForm",
    "Field",
    "data_in",
    "faults_of",
    "fields_of",
    "form_of",
    "is_hidden",
    "patch_in",
    "pointer_to",
]
