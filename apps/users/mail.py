"""E-mail: a template's subject, text and HTML, to one person in their language.

A mail is three templates, ``emails/<name>.subject.txt``, ``.txt`` and ``.html``; the HTML one
fills the blocks of ``emails/base.html``. It is made at once and sent after the commit of the
transaction, so that what was rolled back is not told; a mail server that does not answer is
written to the log and breaks nothing else.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template import Context
from django.template.loader import get_template
from django.utils import translation


def send(template: str, to: str, context: Mapping[str, Any], language: str = "") -> None:
    """Send the mail ``template`` to the address ``to`` after commit.

    ``language`` is a person's chosen one; empty for the language that is active. Names in
    ``context`` may be anybody's: they are escaped in the HTML, and a subject has one line.
    """
    with translation.override(language or translation.get_language()):
        message = compose(template, to, context)
    transaction.on_commit(message.send, robust=True)


def compose(template: str, to: str, context: Mapping[str, Any]) -> EmailMultiAlternatives:
    """The mail in the active language, not sent."""
    told = {
        "site": settings.SITE_NAME,
        "language": translation.get_language(),
        **context,
    }
    subject = " ".join(_plain(f"{template}.subject", told).split())
    message = EmailMultiAlternatives(subject[:250], _plain(template, told).strip() + "\n", to=[to])
    message.attach_alternative(get_template(f"emails/{template}.html").render(told), "text/html")
    return message


def _plain(name: str, context: Mapping[str, Any]) -> str:
    """Text is not HTML: what it shows is not escaped."""
    template = get_template(f"emails/{name}.txt").template  # type: ignore[attr-defined]
    text: str = template.render(Context(dict(context), autoescape=False))
    return text
