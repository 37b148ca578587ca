"""Sends mails: renders templates and talks SMTP."""
