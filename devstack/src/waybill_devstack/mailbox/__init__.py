"""A development mail server (`python -m waybill_devstack.mailbox`): SMTP in, HTTP out, faults on demand."""
