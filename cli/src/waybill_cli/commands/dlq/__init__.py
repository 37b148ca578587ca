"""`waybill dlq`: the failure desk, one module for each group of its commands."""
