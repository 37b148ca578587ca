"""A stand-in for an external system that records are synced to (`python -m waybill_devstack.crm`)."""
