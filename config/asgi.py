"""ASGI entry point, for servers that speak nothing else; gunicorn uses WSGI."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

application = get_asgi_application()

from apps.core.checks import refuse_missing_static_files, refuse_unsafe_role  # noqa: E402  (needs the settings)

refuse_unsafe_role()
refuse_missing_static_files()
