"""`waybill dlq`: the failure desk, one file for each group of its commands."""
