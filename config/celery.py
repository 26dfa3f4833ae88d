"""The Celery application: one queue for people who wait, one for bulk work."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

app = Celery("stoneware")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
