"""The email service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from waybill import Service
from waybill_contracts.kinds import EmailRequested, PasswordResetRequested, UserCreated
from waybill_email.handlers import Mailing, send_email, send_password_reset, send_welcome
from waybill_email.mailer import Mailer
from waybill_email.renderer import Renderer
from waybill_email.settings import EmailSettings


@asynccontextmanager
async def mailing(settings: EmailSettings) -> AsyncIterator[Mailing]:
    """Opens what the handlers send mail with."""
    mailer = Mailer(
        settings.smtp_host,
        settings.smtp_port,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        tls=settings.smtp_tls,
        tls_context=None if settings.smtp_tls == "none" else settings.smtp_files.context(),
        sender=settings.sender,
        connections=settings.smtp_connections,
        timeout_seconds=settings.smtp_timeout_seconds,
        circuit=settings.circuit_policy(),
    )
    try:
        yield Mailing(mailer, Renderer(settings.templates_folder))
    finally:
        await mailer.close()


service = Service("email", settings=EmailSettings, resources=mailing, metrics="email:8000")
service.handles(EmailRequested)(send_email)
service.handles(PasswordResetRequested)(send_password_reset)
service.handles(UserCreated)(send_welcome)
