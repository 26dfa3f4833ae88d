"""The sweep over sessions that have ended."""

from celery import shared_task
from django.core.management import call_command


@shared_task(name="users.clear_sessions", ignore_result=True)
def clear_sessions() -> None:
    """Forget the sessions whose time is over."""
    call_command("clearsessions")
