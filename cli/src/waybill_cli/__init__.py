"""`waybill`, the operator's command."""
