"""The sweep that keeps the vector indexes in line with the vectors."""

import logging

from celery import shared_task
from django.db import OperationalError

from apps.search import vector_indexes

_logger = logging.getLogger(__name__)


@shared_task(name="search.tend_vector_indexes", ignore_result=True)
def tend_vector_indexes() -> None:
    """Build what is missing, one index at a time, and drop what nobody needs.

    A worker that cannot connect as the owner makes none; searches then compare every vector.
    """
    try:
        vector_indexes.tend()
    except OperationalError as error:
        _logger.warning("No vector index was made: %s", str(error).partition("\n")[0])
