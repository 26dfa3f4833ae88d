"""The test suite: real engines in their own directory, no kept connections, quick passwords."""

from config.settings.base import *

DATABASES["default"]["CONN_MAX_AGE"] = 0  # a kept connection would outlive the test database
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
ALLOWED_HOSTS = ["*"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
ACCOUNT_RATE_LIMITS = False
MFA_RATE_LIMITS = False
LOGIN_LIMIT_PER_ADDRESS = LOGIN_LIMIT_PER_NAME = 0  # no limit, unless a test sets one
OPERATOR_MFA_REQUIRED = False  # but where a test sets it
LOGGING["root"] = {"handlers": ["console"], "level": "WARNING"}
