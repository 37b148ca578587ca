"""The email service: renders templates and sends mails over SMTP."""
