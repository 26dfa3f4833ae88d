"""The Celery application: one queue for people who wait, one for bulk work."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

app = Celery("stoneware")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def refuse_unsafe_role(**_: Any) -> None:
    """A worker does not begin with a database role that passes the walls."""
    from apps.core import checks

    checks.refuse_unsafe_role()
