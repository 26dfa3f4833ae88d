"""The sweep over calls whose worker died, and the care of batches."""

from typing import Final

from celery import shared_task
from django.db import connections

from apps.llms import batching, calls

_DUE: Final = """
SELECT organization_id, id FROM llm_batch WHERE next_look_at <= now()
ORDER BY next_look_at LIMIT 20
"""


@shared_task(name="llms.book_abandoned")
def book_abandoned() -> None:
    """Book calls that were opened long ago and never settled, and free what they reserved."""
    calls.book_old()


@shared_task(name="llms.look_after_batches")
def look_after_batches() -> None:
    """Take the batches that are due, of all organizations, a step further."""
    with connections["operator"].cursor() as cursor:
        cursor.execute(_DUE)
        due = cursor.fetchall()
    for organization_id, batch_id in due:
        batching.look_after(organization_id, batch_id)
