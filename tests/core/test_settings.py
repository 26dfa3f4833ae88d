"""Settings that refuse to be weak, and an application that calls nobody by itself."""

import json
import os
import secrets
import subprocess
import sys
import textwrap
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connections

from apps.core.embedded.paths import PROJECT_ROOT

STRONG, OTHER, LAST = (secrets.token_urlsafe(64) for _ in range(3))


def boot(script: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that loads the settings and then runs the script."""
    inherited = {k: v for k, v in os.environ.items() if k not in {"SECRET_KEY", "ALLOWED_HOSTS"}}
    return subprocess.run(
        [sys.executable, "-c", "import django; django.setup()\n" + textwrap.dedent(script)],
        cwd=PROJECT_ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def boot_production(**environment: str) -> subprocess.CompletedProcess[str]:
    return boot(DJANGO_SETTINGS_MODULE="config.settings.production", **environment)


def test_production_boots_with_a_strong_secret_and_its_names() -> None:
    done = boot_production(SECRET_KEY=STRONG, ALLOWED_HOSTS="label.example.org")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, "Production needs SECRET_KEY"),
        ({"SECRET_KEY": ""}, "Production needs SECRET_KEY"),
        ({"SECRET_KEY": "changeme"}, "known or too weak"),
        ({"SECRET_KEY": "stoneware"}, "known or too weak"),
        ({"SECRET_KEY": STRONG[:49]}, "known or too weak"),
        ({"SECRET_KEY": "a" * 64}, "known or too weak"),
        ({"SECRET_KEY": "0123456789" * 7}, "known or too weak"),
        ({"SECRET_KEY": "django-insecure-" + STRONG}, "development key"),
        (
            {"SECRET_KEY": STRONG, "SECRET_KEY_FALLBACKS": f"{OTHER},changeme"},
            "A key of SECRET_KEY_",
        ),
        ({"SECRET_KEY": STRONG}, "Production needs ALLOWED_HOSTS"),
        ({"SECRET_KEY": STRONG, "ALLOWED_HOSTS": " , "}, "Production needs ALLOWED_HOSTS"),
        ({"SECRET_KEY": STRONG, "ALLOWED_HOSTS": "*"}, "needs SITE_URL"),
        (
            {"SECRET_KEY": STRONG, "ALLOWED_HOSTS": "localhost", "LOG_FORMAT": "text"},
            "LOG_FORMAT must be line, json",
        ),
        (
            {"COLLECTOR": "stripe", "STRIPE_SECRET_KEY": "sk"},
            "Stripe needs STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET",
        ),
    ],
)
def test_production_refuses_to_boot(environment: dict[str, str], reason: str) -> None:
    done = boot_production(**environment)
    assert done.returncode != 0
    assert "ImproperlyConfigured" in done.stderr
    assert reason in done.stderr


def test_what_an_earlier_key_sealed_and_signed_holds_after_a_change() -> None:
    hosted = {"DJANGO_SETTINGS_MODULE": "config.settings.production", "ALLOWED_HOSTS": "localhost"}
    sealing = """
        from apps.core.sealing import seal, sign
        print(seal("a secret", context="row 1").hex(), sign("a text", purpose="test"))
        """
    sealed, signature = boot(sealing, **hosted, SECRET_KEY=OTHER).stdout.split()
    opening = f"""
        from apps.core.sealing import is_signed, unseal
        print(is_signed("a text", "{signature}", purpose="test"))
        print(unseal(bytes.fromhex("{sealed}"), context="row 1"))
        """
    forgotten = boot(opening, **hosted, SECRET_KEY=STRONG)
    assert (forgotten.stdout, "BrokenSealError" in forgotten.stderr) == ("False\n", True)
    kept = boot(opening, **hosted, SECRET_KEY=STRONG, SECRET_KEY_FALLBACKS=f"{LAST}, {OTHER}")
    assert kept.stdout == "True\na secret\n", kept.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "sqlite:///x"),
        ("DATABASE_URL", "postgresql://stoneware_app@db.example.org/stoneware?sslmod=verify-full"),
        ("LEASE_MINUTES", "ten"),
        ("WORKER_THREADS", "many"),
        ("SITE_URL", "stoneware.example"),
        ("SITE_URL", "https://stoneware.example/labels"),
        ("EMAIL_HOST", "mail.example.org"),  # without SITE_URL, under any host name
        ("COLLECTOR", "strip"),
        ("COLLECTOR", "stripe"),  # without its secrets
        ("LOG_FORMAT", "jsn"),
    ],
)
def test_a_typo_fails_at_start(variable: str, value: str) -> None:
    done = boot(DJANGO_SETTINGS_MODULE="config.settings.development", **{variable: value})
    assert done.returncode != 0
    assert "ImproperlyConfigured" in done.stderr


def test_a_collector_with_its_secrets_is_taken() -> None:
    done = boot(
        "from django.conf import settings; print(settings.COLLECTOR)",
        DJANGO_SETTINGS_MODULE="config.settings.development",
        COLLECTOR="Stripe",
        STRIPE_SECRET_KEY="sk_test",
        STRIPE_WEBHOOK_SECRET="whsec_test",
    )
    assert done.stdout == "stripe\n", done.stderr


@pytest.mark.django_db
def test_options_of_a_database_url_reach_the_connection() -> None:
    """Beside those that the settings give by themselves."""
    database = connections["default"].settings_dict
    where = f"@/{database['NAME']}?host={quote(database['HOST'], safe='')}"
    options = "&sslmode=prefer&connect_timeout=7&options=-c%20statement_timeout%3D4321"
    done = boot(
        """
        from django.db import connections
        for alias in ("default", "owner"):
            connection = connections[alias]
            with connection.cursor() as cursor:
                cursor.execute("SHOW statement_timeout")
                print(*cursor.fetchone())
            told = connection.get_connection_params()
            print(*(told.get(name) for name in ("sslmode", "connect_timeout", "prepare_threshold")))
        """,
        DJANGO_SETTINGS_MODULE="config.settings.development",
        DATABASE_URL=f"postgresql://stoneware_app{where}{options}",
        OWNER_DATABASE_URL=f"postgresql://stoneware_owner{where}{options}",
    )
    assert done.stdout.splitlines() == ["4321ms", "prefer 7 1", "4321ms", "prefer 7 None"], done


def test_production_is_strict_about_cookies_and_transport() -> None:
    done = boot(
        """
        import json
        from django.conf import settings as s
        print(json.dumps([s.DEBUG, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE,
            s.SESSION_COOKIE_HTTPONLY, s.SECURE_HSTS_SECONDS > 0, s.ALLOWED_HOSTS]))
        """,
        DJANGO_SETTINGS_MODULE="config.settings.production",
        SECRET_KEY=STRONG,
        ALLOWED_HOSTS="a.example.org, b.example.org",
    )
    expected = [False, True, True, True, True, ["a.example.org", "b.example.org"]]
    assert json.loads(done.stdout) == expected


def test_the_clock_rings_only_for_what_workers_know() -> None:
    """In an interpreter of its own: another test may have imported a task that no worker has."""
    done = boot(
        """
        from config.celery import app
        app.loader.import_default_modules()
        wanted = {entry["task"] for entry in app.conf.beat_schedule.values()}
        print(len(wanted), sorted(wanted - set(app.tasks)))
        sent = {app.amqp.router.route({}, name)["queue"].name for name in wanted}
        print(sent)  # never behind jobs, which take a minute
        """,
        DJANGO_SETTINGS_MODULE="config.settings.test",
    )
    known, sent = done.stdout.strip().splitlines()
    count, _, unknown = known.partition(" ")
    assert (int(count) > 20, unknown) == (True, "[]"), done.stderr
    assert sent == "{'rounds'}"


def test_messages_to_workers_are_json_and_nothing_else() -> None:
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
    assert settings.CELERY_TASK_SERIALIZER == "json"
    assert settings.CELERY_TASK_IGNORE_RESULT


def test_the_first_secret_is_random_and_ones_own(tmp_path) -> None:
    """Without SECRET_KEY an instance makes its own, readable by its user alone."""
    script = "from django.conf import settings; print(settings.SECRET_KEY)"
    made = [
        boot(
            script,
            DJANGO_SETTINGS_MODULE="config.settings.development",
            STONEWARE_DATA_DIR=str(tmp_path / name),
        ).stdout
        for name in ("one", "one", "two")
    ]
    assert made[0] == made[1] != made[2]
    assert len(made[0].strip()) > 60
    assert (tmp_path / "one" / "secret_key").stat().st_mode & 0o777 == 0o600


# --- No calls to anybody -------------------------------------------------------------------------

WATCH = """
import json, socket, sys
asked = []

def is_near(address):
    if isinstance(address, (str, bytes)):
        return True  # a unix socket
    host = address[0] or "localhost"
    return host in {"localhost", "::1"} or host.startswith("127.")

def watch(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
    elif event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        address = arguments[:1] if event != "socket.sendto" else arguments[1]
    else:
        return
    if not is_near(address):
        asked.append([event, str(address)])
        raise PermissionError(f"outbound: {address}")

sys.addaudithook(watch)
"""
MAIN_PATHS = """
from importlib import import_module
from pathlib import Path
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.conf import settings

for file in sorted(Path("apps").rglob("*.py")):
    if not {"migrations", "__main__", "__init__"} & {*file.parts, file.stem}:
        import_module(".".join(file.with_suffix("").parts))
settings.ALLOWED_HOSTS = ["testserver"]
call_command("check", databases=["default"])
try:
    call_command("migrate", check_unapplied=True, database="owner", verbosity=0)
except SystemExit as ended:
    assert ended.code in (0, None), ended.code

from apps.annotation import distribution, services
from apps.core.tenancy import enter
from apps.quality.embeddings import embed
from tests.factories import make_dataset, make_member, make_organization, make_records
with transaction.atomic():
    with enter(make_organization().id):
        dataset, member = make_dataset(), make_member()
        make_records(dataset, 3)
        for lease in distribution.claim(dataset=dataset, annotator=member):
            services.save_response(record=lease.record, annotator=member, status="submitted",
                values={"sentiment": {"value": "mixed"}})
    transaction.set_rollback(True)
assert embed(["a text", "another"]).shape == (2, 256)
client = Client(raise_request_exception=False)
answers = [client.get(path).status_code for path in
    ("/", "/accounts/login/", "/accounts/login/member/", "/api/v1/status", "/api/v1/me", "/none")]
assert max(answers) < 500, answers
print(json.dumps({"asked": asked, "answers": answers}))
"""


def boot_watched(script: str) -> subprocess.CompletedProcess[str]:
    database = connections["default"].settings_dict
    urls = {
        variable: f"postgresql://{role}@/{database['NAME']}?host={database['HOST']}"
        for variable, role in (
            ("DATABASE_URL", "stoneware_app"),
            ("OWNER_DATABASE_URL", "stoneware_owner"),
            ("OPERATOR_DATABASE_URL", "stoneware_operator"),
        )
    }
    return boot(f"{WATCH}\n{script}", DJANGO_SETTINGS_MODULE="config.settings.development", **urls)


@pytest.mark.django_db
def test_the_main_paths_call_nobody() -> None:
    """Settings as they come; every Python-level connection and look-up is watched."""
    done = boot_watched(MAIN_PATHS)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["asked"] == []
    assert 200 in told["answers"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "call",
    [
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=1)",
        "import socket; socket.getaddrinfo('example.org', 443)",
        "import socket; socket.create_connection(('2001:db8::1', 80), timeout=1)",
    ],
)
def test_the_watch_would_see_a_call(call: str) -> None:
    done = boot_watched(call)
    assert done.returncode != 0
    assert "outbound: " in done.stderr
