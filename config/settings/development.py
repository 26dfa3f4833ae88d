"""One machine, engines embedded: what ``manage.py up`` runs."""

from config import env
from config.settings.base import *

ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "*")  # bound to 127.0.0.1 unless --host says otherwise
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = env.flag("DEBUG")
DEBUG = env.flag("DEBUG")
