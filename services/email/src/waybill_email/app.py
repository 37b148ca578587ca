"""Builds the email service."""

from functools import partial

from waybill_contracts.kinds import EmailRequested, PasswordResetRequested, UserCreated
from waybill_email.handlers import send_email, send_password_reset, send_welcome
from waybill_email.mailer import Mailer
from waybill_email.renderer import Renderer
from waybill_email.settings import EmailSettings
from waybill_worker.attempt import configured
from waybill_worker.service import Service, application


def make_service(settings: EmailSettings) -> Service:
    """Builds the service with its adapters, not yet started."""
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
    renderer = Renderer(settings.templates_folder)
    return Service(
        "email",
        settings,
        (
            configured(settings, EmailRequested, partial(send_email, mailer=mailer, renderer=renderer)),
            configured(
                settings,
                PasswordResetRequested,
                partial(send_password_reset, mailer=mailer, renderer=renderer),
            ),
            configured(settings, UserCreated, partial(send_welcome, mailer=mailer, renderer=renderer)),
        ),
        closers=(mailer.close,),
    )


def make_app() -> Service:
    """The FastStream application: `faststream run waybill_email.app:make_app --factory`."""
    return application("email", EmailSettings, make_service)
