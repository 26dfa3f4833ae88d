"""Health, readiness and the id of a request."""

from typing import Any

import pytest
from django.test import Client

from apps.core import tenancy
from apps.operator import health
from tests.operator.conftest import EVERYWHERE

pytestmark = EVERYWHERE


def test_alive_means_the_process_alone(django_assert_num_queries: Any, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["stoneware.example"]
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    with django_assert_num_queries(0):
        answer = Client().get("/healthz", headers={"host": "10.0.0.7"})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "Set-Cookie" not in answer.headers


def test_ready_names_each_part(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["stoneware.example"]
    answer = Client().get("/readyz", headers={"host": "any.host"})
    assert answer.status_code == 200
    parts = answer.json()["parts"]
    assert set(parts) == {"database", "migrations", "redis", "disk"}
    assert all(part["ok"] for part in parts.values())
    assert parts["database"]["role"] == "stoneware_app"
    assert answer["Cache-Control"] == "no-store"
    assert tenancy.entered() is None


def test_not_ready_without_redis(settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    parts = answer.json()["parts"]
    assert not parts["redis"]["ok"]
    assert parts["database"]["ok"]
    assert "nowhere" not in answer.content.decode()  # how it is built is nobody's business


def test_not_ready_with_a_role_that_passes_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "DEFAULT_DB_ALIAS", "operator")
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["database"]["problem"] == "the role passes row-level security"


def test_not_ready_before_the_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import connections

    monkeypatch.setattr(health, "_applied", False)
    with connections["operator"].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'exchange' RETURNING name")
        (name,) = cursor.fetchone()
        try:
            answer = Client().get("/readyz")
        finally:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('exchange', %s, now())",
                [name],
            )
    assert answer.status_code == 503
    assert answer.json()["parts"]["migrations"] | {"ms": 0} == {
        "ok": False,
        "problem": "1 not applied",
        "ms": 0,
    }
    assert Client().get("/readyz").status_code == 200


def test_not_ready_on_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LEAST_DISK", 1 << 60)
    assert Client().get("/readyz").json()["parts"]["disk"]["problem"] == "too little space"


@pytest.mark.parametrize("given", ["abc-123", "0af7651916cd43dd8448eb211c80319c", "a" * 128])
def test_a_sane_request_id_is_kept(given: str) -> None:
    for path in ("/healthz", "/api/v1/status", "/accounts/login/", "/nowhere"):
        assert Client().get(path, headers={"X-Request-ID": given})["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", "a\tb", "ä", '{"x":1}', "-x", "<b>"])
def test_any_other_is_replaced(given: str) -> None:
    client = Client(headers={"X-Request-ID": given.encode().decode("latin-1")})
    one, two = client.get("/healthz")["X-Request-ID"], client.get("/healthz")["X-Request-ID"]
    assert len(one) == 32
    assert one != two
