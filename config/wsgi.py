"""WSGI entry point for gunicorn."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

application = get_wsgi_application()

from django.db import connections  # noqa: E402  (needs the settings)

from apps.core.checks import refuse_unsafe_role  # noqa: E402

refuse_unsafe_role()
connections.close_all()  # each process has its own

# A bulk request makes a hundred thousand objects and no cycles: look for those less often, and
# never among what was there from the start.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)
