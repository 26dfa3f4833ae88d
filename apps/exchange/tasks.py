"""The sweep over uploads that nobody needs."""

from celery import shared_task

from apps.exchange.creation import uploads


@shared_task(name="exchange.sweep_uploads")
def sweep_uploads() -> None:
    """Remove uploaded files that nobody has read for two weeks."""
    uploads.sweep()
