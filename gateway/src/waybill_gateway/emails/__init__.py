"""Emails: mails with their own text or from a template."""
