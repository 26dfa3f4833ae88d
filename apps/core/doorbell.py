"""Telling the workers that there is something to do; the rows in the database are what counts."""

import logging
from typing import Final
from uuid import UUID

from celery import current_app
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.pools import producers

USUAL_QUEUE: Final = "rounds"
_IMPATIENT: Final = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}

_logger = logging.getLogger(__name__)


def ring(
    task: str, *ids: UUID | str, queue: str = USUAL_QUEUE, expires: float | None = None
) -> bool:
    """Ask a worker to run the task; False when Redis is away: a sweep will ring.

    ``expires`` in seconds. A message too many does no harm.
    """
    message = [str(id) for id in ids]
    try:
        with producers[_impatient_connection()].acquire(block=True) as producer:
            current_app.send_task(
                task,
                args=message,
                queue=queue,
                expires=expires,
                producer=producer,
                retry_policy=_IMPATIENT,
            )
    except OperationalError as error:
        _logger.warning("%s %s waits for the sweep: %s", task, " ".join(message), error)
        return False
    return True


def _impatient_connection() -> Connection:
    """The broker's connection without its seconds of patience: a request waits for this."""
    options = {**current_app.conf.broker_transport_options, **_IMPATIENT}
    return current_app.connection_for_write(transport_options=options)
