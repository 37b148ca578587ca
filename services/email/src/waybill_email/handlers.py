"""Handlers of the email service: each sends one mail."""

import asyncio
from dataclasses import replace

from waybill_contracts.kinds import EmailRequested, PasswordResetRequested, UserCreated
from waybill_email.html_to_text import text_of
from waybill_email.mail import OutgoingMail
from waybill_email.mailer import Mailer
from waybill_email.renderer import RenderedMail, Renderer
from waybill_worker.attempt import Attempt
from waybill_worker.errors import PermanentError
from waybill_worker.limits import uncancellable

#: Stored as the result of the subtask; without the address, which the event shows or hides.
Result = dict[str, str | bool]


async def send_email(event: EmailRequested, attempt: Attempt, mailer: Mailer, renderer: Renderer) -> Result:
    """Send a mail with the text of the caller, or from a template; HTML alone gets a text part.

    Returns:
        `message_id` (with brackets) and `server_response` (one line); `may_be_a_repeat` if an earlier run
        may have delivered it already.

    Raises:
        HandlerError: see `Renderer.render` and `Mailer.send`.
    """
    if event.template is not None:
        words = renderer.render(event.template, event.params)
    elif event.subject is not None:
        words = RenderedMail(event.subject, event.text, event.html)
    else:
        raise PermanentError("the mail has neither a subject nor a template: give one of them")
    mail = OutgoingMail(
        to=event.to,
        subject=words.subject,
        text=words.text,
        html=words.html,
        message_id=attempt.effect_key,
        category=event.category,
        reply_to=event.reply_to,
        list_unsubscribe=event.list_unsubscribe or (),
    )
    return await _send(mail, attempt, mailer)


async def send_password_reset(
    event: PasswordResetRequested, attempt: Attempt, mailer: Mailer, renderer: Renderer
) -> Result:
    """Send the link to reset a password.

    Returns, raises:
        See `send_email`; neither contains the link.
    """
    rendered = renderer.render("password_reset", {"link": event.link, "expires_at": event.expires_at})
    return await _send_rendered(rendered, event.email, attempt, mailer, "password-reset")


async def send_welcome(event: UserCreated, attempt: Attempt, mailer: Mailer, renderer: Renderer) -> Result:
    """Send the welcome mail to a new user.

    Returns, raises:
        See `send_email`.
    """
    rendered = renderer.render("welcome", {"name": event.name})
    return await _send_rendered(rendered, event.email, attempt, mailer, "welcome")


async def _send_rendered(
    rendered: RenderedMail, to: str, attempt: Attempt, mailer: Mailer, category: str
) -> Result:
    mail = OutgoingMail(
        to=to,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        message_id=attempt.effect_key,
        category=category,
    )
    return await _send(mail, attempt, mailer)


async def _send(mail: OutgoingMail, attempt: Attempt, mailer: Mailer) -> Result:
    if mail.text is None and mail.html is not None:
        # In a thread: a long mail takes a good part of a second.
        mail = replace(mail, text=await asyncio.to_thread(text_of, mail.html) or None)
    # A mail on its way cannot be stopped: a cancellation now comes too late, and the record shows this.
    sent = await uncancellable(mailer.send(mail, before_content=attempt.begin_effect))
    result: Result = {"message_id": sent.message_id, "server_response": sent.server_response}
    return result | {"may_be_a_repeat": True} if attempt.in_doubt else result
