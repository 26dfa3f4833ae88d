"""The sweep over calls whose worker died, and the care of batches."""

from typing import Final

from celery import shared_task

from apps.core.rounds import find, for_each
from apps.llms import batching, calls

_DUE: Final = """
SELECT organization_id, id AS batch_id FROM llm_batch WHERE next_look_at <= now()
ORDER BY next_look_at LIMIT 20
"""


@shared_task(name="llms.book_abandoned")
def book_abandoned() -> None:
    """Book calls that were opened long ago and never settled, and free what they reserved."""
    calls.book_old()


@shared_task(name="llms.look_after_batches")
def look_after_batches() -> None:
    """Take the batches that are due, of all organizations, a step further."""
    for_each(find(_DUE), batching.look_after)
