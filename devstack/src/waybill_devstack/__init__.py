"""The local stack in one command: private broker, mailbox, crm, supervisor, demo."""
