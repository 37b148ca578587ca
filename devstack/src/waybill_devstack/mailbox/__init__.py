"""A development mail server (`python -m devstack.mailbox`): SMTP in, HTTP and a page out, faults at will."""
