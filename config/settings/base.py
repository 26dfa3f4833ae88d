"""Settings that every environment shares; the leaves beside this file only override."""

from pathlib import Path
from typing import Any

from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured
from kombu import Exchange, Queue

from apps.core.embedded.paths import (
    backup_directory,
    data_dir,
    exports_directory,
    redis_socket,
    socket_directory,
    static_root,
)
from config import env

BASE_DIR = Path(__file__).resolve().parents[2]
DATA_DIR = data_dir()

# --- Where things are -------------------------------------------------------------------------
SECRET_KEY = env.text("SECRET_KEY") or env.secret_file(DATA_DIR / "secret_key")
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")  # of before, for what they sealed
DEBUG = False
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
SITE_HOSTS = ALLOWED_HOSTS  # of no organization, where each has its own
# Where each organization has a host of its own, <slug>.<base domain>; empty: one host for all.
BASE_DOMAIN = env.text("BASE_DOMAIN").lower().strip(".")
# How people reach the site, e.g. https://stoneware.example: for links in mails.
SITE_URL = env.origin("SITE_URL")
# Where the proof of an organization's domain is looked up, host:port; empty: the system's server.
DNS_SERVER = next(iter(env.places("DNS_SERVER")), None)
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False  # API clients do not follow redirects; pages link to their exact address
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SITE_NAME = "Stoneware"

INSTALLED_APPS = [
    "apps.operator.admin_config.OperatorAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.socialaccount.providers.google",
    "allauth.socialaccount.providers.github",
    "allauth.socialaccount.providers.microsoft",
    "csp",
    "apps.core",
    "apps.events",
    "apps.users",
    "apps.organizations",
    "apps.workspaces",
    "apps.jobs",
    "apps.webhooks",
    "apps.llms",
    "apps.datasets",
    "apps.records",
    "apps.annotation",
    "apps.billing",
    "apps.search",
    "apps.quality",
    "apps.drafts",
    "apps.pipelines",
    "apps.evaluation",
    "apps.monitoring",
    "apps.exchange",
    "apps.labeling",
    "apps.console",
    "apps.operator",
    "apps.api",
]

MIDDLEWARE = [
    "apps.operator.middleware.RequestMiddleware",  # first: names every answer, knows its time
    "django.middleware.security.SecurityMiddleware",
    "apps.labeling.hosts.HostMiddleware",  # whose host it is
    "apps.api.middleware.ApiMiddleware",  # answers what is below /api/; the others are for pages
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.labeling.hosts.HostSessionMiddleware",
    "apps.labeling.middleware.LanguageMiddleware",
    "apps.labeling.middleware.SupportMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- PostgreSQL: one database, three roles ----------------------------------------------------
# default: web and workers, walled in by row-level security. owner: migrations. operator: sees
# every tenant; the operator console, the sweepers and backups only.


def _database(variable: str, role: str, **extra: Any) -> dict[str, Any]:
    url = env.text(variable, f"postgresql://{role}@/stoneware?host={socket_directory(DATA_DIR)}")
    given = env.database(url)
    return {**given, **extra, "OPTIONS": {**given["OPTIONS"], **extra.get("OPTIONS", {})}}


DATABASES = {
    "default": _database(
        "DATABASE_URL",
        "stoneware_app",
        CONN_MAX_AGE=600,  # seconds; each thread keeps its connection, which is cheaper than a pool
        OPTIONS={
            "prepare_threshold": 1,
            "server_side_binding": True,  # PostgreSQL keeps the plans of what is asked again
        },
        TEST={"MIRROR": "owner"},
    ),
    "owner": _database("OWNER_DATABASE_URL", "stoneware_owner"),
    "operator": _database("OPERATOR_DATABASE_URL", "stoneware_operator", TEST={"MIRROR": "owner"}),
}

# --- Redis: a doorbell, never the truth -------------------------------------------------------
REDIS_URL = env.text("REDIS_URL", f"unix://{redis_socket(DATA_DIR)}")

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
    }
}

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 1800}
# Jobs go to ``bulk`` or ``interactive``, all else to ``rounds``: a slice of a job takes a minute,
# and what webhooks are told must not stand behind it. A worker takes from all of them unless it is
# told otherwise; ``up`` starts one of each kind.
CELERY_TASK_QUEUES = [
    Queue(name, Exchange(name), routing_key=name) for name in ("bulk", "interactive", "rounds")
]
CELERY_TASK_DEFAULT_QUEUE = "rounds"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = env.number("WORKER_THREADS", 4)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "seal-events": {"task": "events.seal", "schedule": 60.0},
    "check-events": {"task": "events.check", "schedule": 6 * 3600.0},
    "prune-events": {"task": "events.prune", "schedule": 3600.0},
    "delete-organizations": {"task": "exchange.delete_organizations", "schedule": 3600.0},
    "forget-exports": {"task": "exchange.forget_exports", "schedule": 3600.0},
    "sweep-uploads": {"task": "exchange.sweep_uploads", "schedule": 3600.0},
    "ring-waiting-jobs": {"task": "jobs.ring_waiting", "schedule": 5.0},
    "prune-jobs": {"task": "jobs.prune", "schedule": 3600.0},
    "return-expired-leases": {"task": "annotation.return_expired_leases", "schedule": 30.0},
    "prune-versions": {"task": "annotation.prune_versions", "schedule": 3600.0},
    "sweep-idempotent-requests": {
        "task": "organizations.sweep_idempotent_requests",
        "schedule": 3600.0,
    },
    "look-at-domains": {"task": "organizations.look_at_domains", "schedule": 3600.0},
    "end-support": {"task": "organizations.end_support", "schedule": 60.0},
    "tend-vector-indexes": {"task": "search.tend_vector_indexes", "schedule": 30.0},
    "ring-waiting-webhooks": {"task": "webhooks.ring_waiting", "schedule": 5.0},
    "look-after-batches": {"task": "llms.look_after_batches", "schedule": 10.0},
    "wake-runs-in-batches": {"task": "pipelines.wake_batches", "schedule": 30.0},
    "withdraw-batches": {"task": "pipelines.withdraw_batches", "schedule": 10.0},
    "charge-batches": {"task": "pipelines.charge_batches", "schedule": 10.0},
    "book-abandoned-calls": {"task": "llms.book_abandoned", "schedule": 600.0},
    "prune-webhook-deliveries": {"task": "webhooks.prune", "schedule": 3600.0},
    "empty-trash": {"task": "records.empty_trash", "schedule": 3600.0},
    "retrain-suggesters": {"task": "quality.retrain", "schedule": 10.0},
    "notice-retraining": {"task": "monitoring.notice", "schedule": 60.0},
    "prune-predictions": {"task": "monitoring.prune", "schedule": 3600.0},
    "count-usage": {"task": "billing.count_usage", "schedule": crontab(minute=20, hour=0)},
    "renew-subscriptions": {"task": "billing.renew", "schedule": crontab(minute=40, hour=0)},
    "clear-sessions": {"task": "users.clear_sessions", "schedule": crontab(minute=50, hour=0)},
    "refresh-review-queues": {"task": "quality.refresh_review", "schedule": 10.0},
}

# --- People -----------------------------------------------------------------------------------
AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    "apps.organizations.backends.MemberBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 8},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_ADAPTER = "apps.labeling.entrance.AccountAdapter"
ACCOUNT_FORMS = {"signup": "apps.labeling.entrance.SignupForm"}
SIGNUP = env.one_of("SIGNUP", "closed", ("closed", "invite", "open"))
SIGNUP_PLAN = env.one_of(  # of organizations that people found themselves
    "SIGNUP_PLAN", "self_hosted", ("self_hosted", "starter", "base", "medium", "large")
)
ACCOUNT_EMAIL_VERIFICATION = "mandatory"  # of accounts that people made themselves
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT = 15 * 60  # seconds
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
PASSWORD_RESET_TIMEOUT = 60 * 60  # seconds
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60  # seconds
MFA_ADAPTER = "apps.users.adapters.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_TOLERANCE = 1  # steps of 30 seconds that a clock may be off
ACCOUNT_RATE_LIMITS: Any = {"login_failed": "10/m/ip,5/300s/key"}
# Log-in through providers, on the sign-in page and over the API. OAUTH_PROVIDERS names them, and
# for each OAUTH_<NAME>_CLIENT_ID, _CLIENT_SECRET and, but for those that are known (google, github,
# microsoft, huggingface), _SERVER_URL are needed.
OAUTH_ORGANIZATION = env.text("OAUTH_ORGANIZATION")  # the slug where newcomers are admitted
OAUTH_WORKSPACES = env.words("OAUTH_WORKSPACES")  # where they may begin
OAUTH_EMAIL_DOMAINS = env.words("OAUTH_EMAIL_DOMAINS")  # of verified e-mails; empty: any
SOCIALACCOUNT_PROVIDERS = env.social_providers()
SOCIALACCOUNT_ADAPTER = "apps.labeling.entrance.SocialAdapter"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "apps.labeling.views.errors.csrf_failure"

# --- E-mail: without a server it is printed ---------------------------------------------------
EMAIL_HOST = env.text("EMAIL_HOST")
EMAIL_PORT = env.number("EMAIL_PORT", 587)
EMAIL_HOST_USER = env.text("EMAIL_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_PASSWORD")
EMAIL_USE_SSL = env.flag("EMAIL_SSL")  # from the first byte, mostly on port 465
EMAIL_USE_TLS = env.flag("EMAIL_STARTTLS", default=not EMAIL_USE_SSL)
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", "Stoneware <noreply@localhost>")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"

# --- Language and time ------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]  # each in its own words
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- Static files and headers -----------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = static_root()
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Slugs of organizations whose custom fields may bring scripts, in a frame without an origin.
FIELD_SCRIPT_ORGANIZATIONS = env.words("FIELD_SCRIPT_ORGANIZATIONS")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:", "https:"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-src": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "manifest-src": ["'self'"],
    },
}

# --- The API ----------------------------------------------------------------------------------
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024  # a bulk of 500 records with vectors
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000  # an answer of 10,000 marks, each of them a field
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["apps.api.http.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.api.http.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.api.auth.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apps.api.auth.IsMember"],
    "DEFAULT_THROTTLE_CLASSES": ["apps.api.throttles.CallerThrottle"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "apps.api.errors.handle",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}

# --- The outside ------------------------------------------------------------------------------
OUTBOUND_ALLOW = env.places("OUTBOUND_ALLOW")  # inner hosts that requests may go to
# Calls at once to one host of language models, of all organizations together; 0 is no limit.
LLM_HOST_CONCURRENCY = env.number("LLM_HOST_CONCURRENCY", 256)

# --- Plans and invoices -----------------------------------------------------------------------
COLLECTOR = env.one_of("COLLECTOR", "manual", ("manual", "stripe"))  # how invoices are paid
INVOICE_ISSUER = env.text("INVOICE_ISSUER", SITE_NAME)  # name, address and tax number, in lines
STRIPE_SECRET_KEY = env.text("STRIPE_SECRET_KEY")
STRIPE_WEBHOOK_SECRET = env.text("STRIPE_WEBHOOK_SECRET")
STRIPE_API_URL = env.text("STRIPE_API_URL", "https://api.stripe.com").rstrip("/")
if COLLECTOR == "stripe" and not (STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET):
    raise ImproperlyConfigured("Stripe needs STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET.")

# --- The Hugging Face Hub, for imports and exports --------------------------------------------
HUGGINGFACE_SPACE = env.huggingface_space()  # empty, but where it runs as one
HF_ENDPOINT = env.text("HF_ENDPOINT", "https://huggingface.co").rstrip("/")

# --- Limits -----------------------------------------------------------------------------------
LEASE_MINUTES = env.number("LEASE_MINUTES", 10)
# Of each API key in the long run, and at once; 0 is no limit, here and for log-ins.
RATE_LIMIT_PER_SECOND = env.number("RATE_LIMIT_PER_SECOND", 1000)
RATE_LIMIT_BURST = env.number("RATE_LIMIT_BURST", 10_000)
# Of each organization, its pages and all its keys together.
ORGANIZATION_RATE_LIMIT_PER_SECOND = env.number("ORGANIZATION_RATE_LIMIT_PER_SECOND", 4000)
ORGANIZATION_RATE_LIMIT_BURST = env.number("ORGANIZATION_RATE_LIMIT_BURST", 40_000)
LOGIN_LIMIT_PER_ADDRESS = env.number("LOGIN_LIMIT_PER_ADDRESS", 30)  # tries a minute
LOGIN_LIMIT_PER_NAME = env.number("LOGIN_LIMIT_PER_NAME", 10)  # failures in five minutes
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", 0)  # in front, each adding to X-Forwarded-For
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES

# --- The operator -----------------------------------------------------------------------------
OPERATOR_SESSION_MINUTES = env.number("OPERATOR_SESSION_MINUTES", 30)  # then proof is due again
OPERATOR_MFA_REQUIRED = env.flag("OPERATOR_MFA_REQUIRED", default=True)
EXPORTS_DIR = exports_directory(DATA_DIR)  # of whole organizations
BACKUP_DIR = backup_directory(DATA_DIR)  # backups, and reports of backups and drills
# Where Prometheus asks: host:port or a socket's path. Empty: nowhere.
METRICS_ADDRESS = env.text("METRICS_ADDRESS")

# json: one object a line, and one line a request.
LOG_FORMAT = env.one_of("LOG_FORMAT", "line", ("line", "json"))
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "apps.core.logs.LineFormatter",
            "format": "{asctime} {levelname} {name} {message}",
            "style": "{",
        },
        "json": {"()": "apps.core.logs.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT,
        }
    },
    "loggers": {
        "apps.operator.requests": {"level": "INFO" if LOG_FORMAT == "json" else "WARNING"},
    },
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", "INFO")},
}
