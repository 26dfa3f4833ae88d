"""The sweep that keeps the vector indexes in line with the vectors."""

from celery import shared_task

from apps.search import vector_indexes


@shared_task(name="search.tend_vector_indexes", ignore_result=True)
def tend_vector_indexes() -> None:
    """Build what is missing, one index at a time, and drop what nobody needs."""
    vector_indexes.tend()
