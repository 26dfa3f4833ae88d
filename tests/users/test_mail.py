"""E-mail: after the commit, in the person's language, with anybody's names inert."""

from django.core import mail
from django.db import transaction

from apps.users.mail import compose, send

HOSTILE = "<img src=x onerror=alert(1)>\r\nBcc: eve@example.org"


def test_a_mail_goes_out_after_the_commit(transactional_db: None) -> None:
    with transaction.atomic():
        send("email_code", "mara@example.org", {"code": "ABC-DEF", "minutes": 15}, "de")
        assert mail.outbox == []
    (message,) = mail.outbox
    assert message.to == ["mara@example.org"]
    assert "ABC-DEF" in message.subject
    assert "ABC-DEF" in message.body
    (html,) = message.alternatives
    assert "ABC-DEF" in html[0]
    assert 'lang="de"' in html[0]


def test_what_is_rolled_back_is_not_told(transactional_db: None) -> None:
    with transaction.atomic():
        send("email_code", "mara@example.org", {"code": "ABC-DEF", "minutes": 15})
        transaction.set_rollback(True)
    assert mail.outbox == []


def test_hostile_names_are_text_in_the_html_and_one_line_in_the_subject() -> None:
    message = compose("security_notice", "mara@example.org", {"what": HOSTILE, "account": "m"})
    assert "\n" not in message.subject
    assert "\r" not in message.subject
    assert "<img" not in message.alternatives[0][0]
    assert "&lt;img" in message.alternatives[0][0]
    assert "Bcc" not in message.message()


def test_text_is_not_escaped() -> None:
    context = {"what": "Ann & Bob’s <key>", "account": "m"}
    assert "Ann & Bob’s <key>" in compose("security_notice", "m@example.org", context).body
