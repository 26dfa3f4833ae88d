"""One machine, engines embedded: what ``manage.py up`` runs."""

from django.core.exceptions import ImproperlyConfigured

from config import env
from config.settings.base import *

ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "*")  # bound to 127.0.0.1 unless --host says otherwise
if EMAIL_HOST and "*" in ALLOWED_HOSTS and not (SITE_URL or BASE_DOMAIN):
    raise ImproperlyConfigured("EMAIL_HOST needs SITE_URL: mails must not name just any host.")
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = env.flag("DEBUG")
DEBUG = env.flag("DEBUG")
