"""The sweep over calls whose worker died."""

from celery import shared_task

from apps.llms import calls


@shared_task(name="llms.book_abandoned")
def book_abandoned() -> None:
    """Book calls that were opened long ago and never settled, and free what they reserved."""
    calls.book_old()
