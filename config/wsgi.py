"""WSGI entry point for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

application = get_wsgi_application()

from django.db import connections  # noqa: E402  (needs the settings)
from django.urls import reverse  # noqa: E402

from apps.core.checks import refuse_missing_static_files, refuse_unsafe_role  # noqa: E402
from config.collector import spare_what_is_there  # noqa: E402

refuse_unsafe_role()
refuse_missing_static_files()
connections.close_all()  # each process has its own
reverse("account_login")  # imports all views and makes the table of their addresses
spare_what_is_there()
