"""Sessions that have ended do not pile up."""

from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from apps.users.tasks import clear_sessions

pytestmark = pytest.mark.django_db


def make_session(ends_in: timedelta) -> str:
    session = SessionStore()
    session.create()
    Session.objects.filter(pk=session.session_key).update(expire_date=timezone.now() + ends_in)
    return str(session.session_key)


def test_sessions_whose_time_is_over_are_forgotten() -> None:
    make_session(timedelta(seconds=-1))
    kept = make_session(timedelta(minutes=1))
    clear_sessions()
    assert list(Session.objects.values_list("pk", flat=True)) == [kept]
