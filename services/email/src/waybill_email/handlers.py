"""Handlers of the email service: each sends one mail."""

import asyncio
from dataclasses import replace
from typing import NamedTuple

from waybill import Attempt, PermanentError
from waybill_contracts.kinds import EmailRequested, PasswordResetRequested, UserCreated
from waybill_email.html_to_text import text_of
from waybill_email.mail import OutgoingMail
from waybill_email.mailer import Mailer
from waybill_email.renderer import RenderedMail, Renderer

#: Stored as the result of the subtask; without the address, which the event shows or hides.
Result = dict[str, str | bool]


class Mailing(NamedTuple):
    """What the handlers use."""

    mailer: Mailer
    renderer: Renderer


async def send_email(event: EmailRequested, attempt: Attempt, mailing: Mailing) -> Result:
    """Send a mail with the text of the caller, or from a template; HTML alone gets a text part.

    Returns:
        `message_id` (with brackets) and `server_response` (one line); `may_be_a_repeat` if an earlier run
        may have delivered it already.

    Raises:
        HandlerError: see `Renderer.render` and `Mailer.send`.
    """
    if event.template is not None:
        words = mailing.renderer.render(event.template, event.params)
    elif event.subject is not None:
        words = RenderedMail(event.subject, event.text, event.html)
    else:
        raise PermanentError("the mail has neither a subject nor a template: give one of them")
    mail = replace(
        _mail(words, event.to, attempt, event.category),
        reply_to=event.reply_to,
        list_unsubscribe=event.list_unsubscribe or (),
    )
    return await _send(mail, attempt, mailing.mailer)


async def send_password_reset(event: PasswordResetRequested, attempt: Attempt, mailing: Mailing) -> Result:
    """Send the link to reset a password; returns and raises as `send_email`, neither with the link."""
    words = mailing.renderer.render("password_reset", {"link": event.link, "expires_at": event.expires_at})
    return await _send(_mail(words, event.email, attempt, "password-reset"), attempt, mailing.mailer)


async def send_welcome(event: UserCreated, attempt: Attempt, mailing: Mailing) -> Result:
    """Send the welcome mail to a new user; returns and raises as `send_email`."""
    words = mailing.renderer.render("welcome", {"name": event.name})
    return await _send(_mail(words, event.email, attempt, "welcome"), attempt, mailing.mailer)


def _mail(words: RenderedMail, to: str, attempt: Attempt, category: str | None) -> OutgoingMail:
    return OutgoingMail(
        to=to,
        subject=words.subject,
        text=words.text,
        html=words.html,
        message_id=attempt.effect_key,
        category=category,
    )


async def _send(mail: OutgoingMail, attempt: Attempt, mailer: Mailer) -> Result:
    if mail.text is None and mail.html is not None:
        # In a thread: a long mail takes a good part of a second.
        mail = replace(mail, text=await asyncio.to_thread(text_of, mail.html) or None)
    # A mail on its way cannot be stopped: a cancellation now comes too late, and the record shows this.
    sent = await attempt.irrevocably(mailer.send(mail, before_content=attempt.begin_effect))
    result: Result = {"message_id": sent.message_id, "server_response": sent.server_response}
    return result | {"may_be_a_repeat": True} if attempt.in_doubt else result
