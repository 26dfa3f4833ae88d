"""Who must wait: callers by key, log-ins by address and by name; and what Redis' absence means."""

import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.conf import settings as configured
from django.test import Client

from apps.core import rate_limits
from apps.core.rate_limits import Limit, UncountedError, refill, take, take_from_stock
from apps.core.tenancy import enter
from apps.organizations.services import create_api_key
from tests.api.conftest import OVERHEAD, Api, Cast
from tests.factories import PASSWORD, make_member


@pytest.fixture
def bucket() -> Iterator[str]:
    name = f"test:{uuid4()}"
    yield name
    refill(name)


@pytest.fixture
def _redis_away(settings: Any, tmp_path: Any) -> Iterator[None]:
    settings.REDIS_URL = f"unix://{tmp_path}/nothing.sock"
    yield
    rate_limits._away_until = 0.0


@pytest.fixture
def _fresh_address() -> Iterator[None]:
    refill("login-address:127.0.0.1")
    yield
    refill("login-address:127.0.0.1")


# --- The bucket ----------------------------------------------------------------------------------


def test_a_bucket_gives_its_burst_and_then_says_how_long_to_wait(bucket: str) -> None:
    slow = Limit(rate=0.01, burst=3)
    assert [take(bucket, slow) for _ in range(3)] == [0, 0, 0]
    assert 99 < take(bucket, slow) <= 100
    assert 99 < take(bucket, slow) <= 100, "asking in vain costs nothing"
    refill(bucket)
    assert take(bucket, slow) == 0


def test_a_bucket_fills_up_again_and_is_then_forgotten(bucket: str) -> None:
    quick = Limit(rate=50, burst=1)
    assert take(bucket, quick) == 0
    wait = take(bucket, quick)
    assert 0 < wait <= 0.02
    time.sleep(wait + 0.005)
    assert take(bucket, quick) == 0
    time.sleep(0.05)
    assert rate_limits._client(configured.REDIS_URL).exists(f"rate:{bucket}") == 0


def test_buckets_are_apart(bucket: str) -> None:
    one = Limit(rate=0.01, burst=1)
    assert take(bucket, one) == 0
    assert take(f"{bucket}:other", one) == 0
    assert take(bucket, one) > 0
    refill(f"{bucket}:other")


def test_a_stock_spares_round_trips_and_gives_no_more_than_the_bucket(bucket: str) -> None:
    large = Limit(rate=0.001, burst=1000)
    given = [take_from_stock(bucket, large) == 0 for _ in range(1001)]
    assert given == [True] * 1000 + [False]
    refill(bucket)
    calls = []
    ask, rate_limits._ask = rate_limits._ask, lambda *a: calls.append(a) or ask(*a)
    try:
        assert {take_from_stock(bucket, large) for _ in range(100)} == {0}
    finally:
        rate_limits._ask = ask
    assert len(calls) == 10


def test_what_is_left_of_a_stock_is_worth_nothing_later(bucket: str) -> None:
    large = Limit(rate=0.001, burst=200)
    take_from_stock(bucket, large)
    assert rate_limits._stocks[bucket].tokens == 1
    rate_limits._stocks[bucket].until = 0
    take_from_stock(bucket, large)
    assert rate_limits._stocks[bucket].tokens == 1, "another two were fetched"


@pytest.mark.usefixtures("_redis_away")
def test_a_rate_of_0_is_no_limit_and_asks_nobody() -> None:
    for attempt in (take, take_from_stock):
        assert [attempt("any", Limit(0, 0)) for _ in range(3)] == [0, 0, 0]


def test_stocks_do_not_pile_up(bucket: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(rate_limits, "MAX_STOCKS", 3)
    for n in range(9):
        take_from_stock(f"{bucket}:{n}", Limit(rate=1000, burst=1000))
        assert len(rate_limits._stocks) <= 3


@pytest.mark.usefixtures("_redis_away")
def test_without_redis_nothing_is_counted_and_nobody_waits_twice() -> None:
    with pytest.raises(UncountedError):
        take("any", Limit(1, 1))
    assert rate_limits._away_until > time.monotonic(), "left alone for a while"
    with pytest.raises(UncountedError):
        take("any", Limit(1, 1))
    refill("any")


def test_a_redis_that_does_not_answer_is_away(settings: Any, tmp_path: Any) -> None:
    """It accepts connections and says nothing."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        settings.REDIS_URL = f"unix://{tmp_path}/silent.sock"
        with pytest.raises(UncountedError):
            take("any", Limit(1, 1))
    rate_limits._away_until = 0.0


# --- Callers -------------------------------------------------------------------------------------


def test_a_key_that_asks_too_often_waits(cast: Cast, settings: Any) -> None:
    settings.RATE_LIMIT_PER_SECOND, settings.RATE_LIMIT_BURST = 0.1, 3
    owner = cast["owner"]
    assert [owner.get("/me").status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = owner.get("/me")
    assert 9 <= int(answer["Retry-After"]) <= 10
    assert answer["Content-Type"] == "application/json"
    assert set(answer.json()) == {"detail"}
    assert "throttled" in answer.json()["detail"]


def test_a_refused_request_does_nothing(cast: Cast, settings: Any) -> None:
    settings.RATE_LIMIT_PER_SECOND, settings.RATE_LIMIT_BURST = 0.1, 1
    owner = cast["owner"]
    assert owner.get("/me").status_code == 200
    assert owner.post("/workspaces", {"name": "late"}).status_code == 429
    settings.RATE_LIMIT_BURST = 100
    names = [one["name"] for one in owner.get("/me/workspaces").json()["items"]]
    assert "late" not in names


def test_each_key_has_its_own_bucket(cast: Cast, settings: Any) -> None:
    settings.RATE_LIMIT_PER_SECOND, settings.RATE_LIMIT_BURST = 0.1, 1
    with enter(cast.organization.id):
        second = Api(create_api_key(member=cast.people["owner"])[1])
    for api in (cast["owner"], second, cast["admin_in"], cast["stranger"]):
        assert [api.get("/me").status_code for _ in range(2)] == [200, 429]
    for name in ("nobody", "bad_key"):
        assert cast[name].get("/me").status_code == 401
        assert cast[name].get("/version").status_code == 200


def test_an_organization_with_many_keys_waits_as_one(cast: Cast, settings: Any) -> None:
    settings.ORGANIZATION_RATE_LIMIT_PER_SECOND = 0.1
    settings.ORGANIZATION_RATE_LIMIT_BURST = 3
    owner, admin, stranger = cast["owner"], cast["admin_in"], cast["stranger"]
    assert [api.get("/me").status_code for api in (owner, admin, owner)] == [200] * 3
    answer = admin.get("/me")
    assert (answer.status_code, set(answer.json())) == (429, {"detail"})
    assert 9 <= int(answer["Retry-After"]) <= 10
    assert stranger.get("/me").status_code == 200, "others do not wait for it"


def test_by_default_a_busy_client_never_waits(cast: Cast) -> None:
    owner = cast["owner"]
    assert {owner.get("/me").status_code for _ in range(400)} == {200}


@pytest.mark.usefixtures("_redis_away")
def test_callers_are_let_in_while_redis_is_away(cast: Cast, settings: Any) -> None:
    settings.RATE_LIMIT_BURST = 1
    assert [cast["owner"].get("/me").status_code for _ in range(3)] == [200, 200, 200]


def test_counting_costs_no_query(cast: Cast, django_assert_num_queries: Any) -> None:
    cast["owner"].get("/me")
    with django_assert_num_queries(OVERHEAD):
        cast["owner"].get("/me")


# --- Log-ins -------------------------------------------------------------------------------------


def log_in(cast: Cast, name: str, password: str, **extra: Any) -> Any:
    form = urlencode({"username": f"{cast.organization.slug}/{name}", "password": password})
    client = Client(raise_request_exception=False)
    kind = "application/x-www-form-urlencoded"
    return client.post("/api/v1/token", form, content_type=kind, **extra)


@pytest.mark.usefixtures("_fresh_address")
def test_guessing_a_name_ends_soon_even_with_the_right_word(cast: Cast, settings: Any) -> None:
    settings.LOGIN_LIMIT_PER_NAME = 3
    with cast.inside():
        make_member(username="ann", password=PASSWORD)
        make_member(username="bob", password=PASSWORD)
    tries = [log_in(cast, "ann", "guess").status_code for _ in range(4)]
    assert tries == [401, 401, 401, 429]
    late = log_in(cast, "ANN", PASSWORD, REMOTE_ADDR="10.0.0.9")
    assert (late.status_code, set(late.json())) == (429, {"detail"})
    assert 0 < int(late["Retry-After"]) <= 100
    assert log_in(cast, "bob", PASSWORD).status_code == 201
    refill("login-address:10.0.0.9")


@pytest.mark.usefixtures("_fresh_address")
def test_the_right_password_forgives_what_was_mistyped(cast: Cast, settings: Any) -> None:
    settings.LOGIN_LIMIT_PER_NAME = 3
    with cast.inside():
        make_member(username="ann", password=PASSWORD)
    for _ in range(3):
        assert log_in(cast, "ann", "typo").status_code == 401
        assert log_in(cast, "ann", PASSWORD).status_code == 201


@pytest.mark.usefixtures("_fresh_address")
def test_an_address_that_tries_many_names_waits(cast: Cast, settings: Any) -> None:
    settings.LOGIN_LIMIT_PER_ADDRESS = 3
    tries = [log_in(cast, f"name-{n}", "x").status_code for n in range(5)]
    assert tries == [401, 401, 401, 429, 429]
    other = log_in(cast, "name-9", "x", REMOTE_ADDR="10.0.0.8")
    assert other.status_code == 401
    refill("login-address:10.0.0.8")


@pytest.mark.usefixtures("_fresh_address")
def test_an_address_is_believed_from_our_proxies_only(cast: Cast, settings: Any) -> None:
    settings.LOGIN_LIMIT_PER_ADDRESS = 1
    forged = [
        log_in(cast, f"n-{n}", "x", HTTP_X_FORWARDED_FOR=f"10.1.0.{n}").status_code
        for n in range(2)
    ]
    assert forged == [401, 429]
    settings.TRUSTED_PROXIES = 1
    behind = [
        log_in(cast, f"m-{n}", "x", HTTP_X_FORWARDED_FOR=f"10.9.9.{n}, 10.2.0.1").status_code
        for n in range(2)
    ]
    assert behind == [401, 429], "what the client wrote before our proxy's word is not believed"
    refill("login-address:10.2.0.1")


@pytest.mark.usefixtures("_redis_away")
def test_guessing_goes_uncounted_nowhere(cast: Cast, settings: Any) -> None:
    settings.LOGIN_LIMIT_PER_ADDRESS = 30
    with cast.inside():
        make_member(username="ann", password=PASSWORD)
    answer = log_in(cast, "ann", PASSWORD)
    assert answer.status_code == 503
    assert "detail" in answer.json()
