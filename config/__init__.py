"""Settings, URL table, WSGI entry point and the Celery application; no product code."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
