"""The Celery application: one queue for people who wait, one for bulk work."""

import os
import threading
import time
from typing import Any

from billiard import current_process
from celery import Celery
from celery.signals import beat_embedded_init, worker_init, worker_ready

from config.collector import spare_what_is_there

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

LOOK_EVERY = 0.5  # seconds

app = Celery("stoneware")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def refuse_unsafe_role(**_: Any) -> None:
    """A worker does not begin with a database role that passes the walls."""
    from apps.core import checks

    checks.refuse_unsafe_role()


@worker_init.connect
def serve_metrics(**_: Any) -> None:
    """The figures of the instance, should no other process answer for them."""
    from apps.core import metrics

    metrics.serve_when_free()


@worker_ready.connect
def spare_the_collector(**_: Any) -> None:
    """A slice is not held up by looking through the whole application."""
    spare_what_is_there()


@beat_embedded_init.connect
def end_with_worker(**_: Any) -> None:
    """The beat inside a worker is a process of its own: it ends when the worker is killed."""
    # As of the fork: the worker may be dead by now.
    end_with(current_process()._parent_pid)  # type: ignore[attr-defined]  # types lack it


def end_with(parent: int) -> None:
    """End this process when its parent has ended, however that came about."""
    threading.Thread(target=_end_after, args=[parent], name="end-with-parent", daemon=True).start()


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os._exit(1)
