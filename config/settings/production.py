"""Hosted: secrets and engines come from the environment, and nothing weak is accepted."""

from django.core.exceptions import ImproperlyConfigured

from config import env
from config.settings.base import *

KNOWN_SECRETS = {"secret", "changeme", "change-me", "insecure", "stoneware", "test", "dev"}

SECRET_KEY = env.text("SECRET_KEY")
if not SECRET_KEY:
    raise ImproperlyConfigured("Production needs SECRET_KEY: 50 random characters or more.")
for name, secret in (
    ("SECRET_KEY", SECRET_KEY),
    *(("A key of SECRET_KEY_FALLBACKS", fallback) for fallback in SECRET_KEY_FALLBACKS),
):
    if len(secret) < 50 or secret.lower() in KNOWN_SECRETS or len(set(secret)) < 16:
        raise ImproperlyConfigured(
            f"{name} is known or too weak: use 50 random characters or more."
        )
    if secret.startswith("django-insecure-"):
        raise ImproperlyConfigured(f"{name} is a development key: make a new one for production.")

ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
if not ALLOWED_HOSTS:
    raise ImproperlyConfigured("Production needs ALLOWED_HOSTS: the names it is served under.")
if "*" in ALLOWED_HOSTS and not (SITE_URL or BASE_DOMAIN):
    raise ImproperlyConfigured("ALLOWED_HOSTS=* needs SITE_URL: mails must not name just any host.")
SITE_HOSTS = ALLOWED_HOSTS
if BASE_DOMAIN:
    ALLOWED_HOSTS = ["*"]  # HostMiddleware knows each, the organizations' own domains too

LOG_FORMAT = env.one_of("LOG_FORMAT", "json", ("line", "json"))
LOGGING["handlers"]["console"]["formatter"] = LOG_FORMAT
LOGGING["loggers"]["apps.operator.requests"]["level"] = (
    "INFO" if LOG_FORMAT == "json" else "WARNING"
)

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.static.ManifestStorage"},
}
SECURE_SSL_REDIRECT = False  # the proxy in front does it; the API must never answer a redirect
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
